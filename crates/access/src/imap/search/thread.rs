//! THREAD: messages and those that answer them (RFC 5256 §4).

use std::collections::{HashMap, HashSet};

use mail::Timestamp;
use proto::imap::{
    command::{Thread, ThreadAlgorithm},
    response::{Data, Status, ThreadNode},
};

use super::{
    super::{
        refusal::Refusal,
        session::{Next, Session},
    },
    PAGE_MESSAGES,
    sort::{envelope, sent},
    subject::base_subject,
};

/// Levels that are looked through for a message that would answer itself; what is deeper starts a thread of its own.
const DEPTH_MAX: usize = 5_000;

/// A message as threads are made of it.
#[derive(Clone, Debug)]
struct Letter {
    number: u32,
    sent: Timestamp,
    subject: String,
    is_reply: bool,
    id: Option<String>,
    /// Whom it answers; the oldest first.
    references: Vec<String>,
}

impl Session {
    pub(in super::super) async fn thread(&mut self, by_uid: bool, thread: Thread) -> Result<Next, Refusal> {
        let hits = self.find_hits(&thread.keys, by_uid).await?;
        let mut letters = Vec::with_capacity(hits.uids.len());
        for page in hits.uids.chunks(PAGE_MESSAGES) {
            self.show_progress(hits.seen + letters.len(), None).await?;
            for (message, summary) in self.load_with_summaries(page).await? {
                let uid = message.uid.0;
                let Some(number) = (if by_uid { Some(uid) } else { self.selected()?.view.number(uid) })
                else {
                    continue;
                };
                let envelope = envelope(&summary);
                let subject = envelope.and_then(|envelope| envelope.subject.as_deref()).unwrap_or_default();
                let (subject, is_reply) = base_subject(subject);
                let ids = |field: Option<&String>| field.map(|field| message_ids(field)).unwrap_or_default();
                let mut references = ids(envelope.and_then(|envelope| envelope.references.as_ref()));
                if references.is_empty() {
                    references = ids(envelope.and_then(|envelope| envelope.in_reply_to.as_ref()));
                    references.truncate(1);
                }
                let id = ids(envelope.and_then(|envelope| envelope.message_id.as_ref())).pop();
                let sent = sent(&message, &summary);
                letters.push(Letter { number, sent, subject, is_reply, id, references });
            }
            tokio::task::yield_now().await;
        }
        let nodes = match thread.algorithm {
            ThreadAlgorithm::OrderedSubject => by_subject(letters),
            ThreadAlgorithm::References => Forest::grow(&letters).nodes(&letters),
        };
        self.machine.data(&Data::Thread(nodes));
        Ok(Next::Done(Status::ok("threaded")))
    }
}

fn message_ids(field: &str) -> Vec<String> {
    let after = field.split('<').skip(1);
    after.filter_map(|rest| rest.split_once('>')).map(|(id, _)| id.trim().to_owned()).collect()
}

/// ORDEREDSUBJECT: the first of each subject, and all others answer it.
fn by_subject(mut letters: Vec<Letter>) -> Vec<ThreadNode> {
    letters.sort_by_key(|letter| (letter.sent, letter.number));
    let mut threads: Vec<Vec<u32>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for letter in letters {
        let place = *places.entry(letter.subject).or_insert(threads.len());
        match threads.get_mut(place) {
            Some(thread) => thread.push(letter.number),
            None => threads.push(vec![letter.number]),
        }
    }
    let node = |(place, number)| ThreadNode { depth: usize::from(place > 0), number: Some(number) };
    threads.into_iter().flat_map(|thread| thread.into_iter().enumerate().map(node)).collect()
}

/// A message, or one that others name and that is not there.
#[derive(Clone, Debug, Default)]
struct Tree {
    letter: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// REFERENCES.
#[derive(Debug, Default)]
struct Forest {
    trees: Vec<Tree>,
    roots: Vec<usize>,
}

impl Forest {
    fn grow(letters: &[Letter]) -> Self {
        let mut forest = Self::default();
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        for (place, letter) in letters.iter().enumerate() {
            let mut parent = None;
            for id in &letter.references {
                let tree = *by_id.entry(id).or_insert_with(|| forest.plant(None));
                if let Some(parent) = parent {
                    forest.link(parent, tree, false);
                }
                parent = Some(tree);
            }
            // Of two messages with one ID the second is as if it had none.
            let known = letter.id.as_deref().map(|id| *by_id.entry(id).or_insert_with(|| forest.plant(None)));
            let free = known.filter(|tree| forest.tree(*tree).is_some_and(|tree| tree.letter.is_none()));
            let own = free.unwrap_or_else(|| forest.plant(None));
            if let Some(tree) = forest.trees.get_mut(own) {
                tree.letter = Some(place);
            }
            if let Some(parent) = parent {
                forest.link(parent, own, true);
            }
        }
        forest.find_roots();
        forest.prune();
        forest.sort(letters);
        forest.gather(letters);
        forest.sort(letters);
        forest
    }

    fn plant(&mut self, letter: Option<usize>) -> usize {
        self.trees.push(Tree { letter, ..Tree::default() });
        self.trees.len() - 1
    }

    fn tree(&self, place: usize) -> Option<&Tree> {
        self.trees.get(place)
    }

    /// `anew`: also away from another parent.
    fn link(&mut self, parent: usize, child: usize, anew: bool) {
        let old = self.tree(child).and_then(|tree| tree.parent);
        if (old.is_some() && !anew) || old == Some(parent) || self.is_above(child, parent) {
            return;
        }
        self.cut(child);
        if let Some(tree) = self.trees.get_mut(child) {
            tree.parent = Some(parent);
        }
        if let Some(tree) = self.trees.get_mut(parent) {
            tree.children.push(child);
        }
    }

    fn cut(&mut self, child: usize) {
        let Some(parent) = self.trees.get_mut(child).and_then(|tree| tree.parent.take()) else { return };
        if let Some(tree) = self.trees.get_mut(parent) {
            tree.children.retain(|other| *other != child);
        }
    }

    /// Whether `one` is `other`, or above it; also if that would take too long to find out.
    fn is_above(&self, one: usize, other: usize) -> bool {
        if one != other && self.tree(one).is_none_or(|tree| tree.children.is_empty()) {
            return false;
        }
        let mut at = Some(other);
        for _ in 0..DEPTH_MAX {
            match at {
                Some(at) if at == one => return true,
                None => return false,
                Some(above) => at = self.tree(above).and_then(|tree| tree.parent),
            }
        }
        true
    }

    fn find_roots(&mut self) {
        let is_root = |place: &usize| self.tree(*place).is_some_and(|tree| tree.parent.is_none());
        self.roots = (0..self.trees.len()).filter(is_root).collect();
    }

    /// Each before those above it.
    fn bottom_up(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.trees.len());
        let mut waiting = self.roots.clone();
        while let Some(place) = waiting.pop() {
            order.push(place);
            waiting.extend(self.tree(place).into_iter().flat_map(|tree| &tree.children));
        }
        order.reverse();
        order
    }

    /// What is not there goes, and those that answer it take its place; at the root only if there is one (§4, step 3).
    fn prune(&mut self) {
        for place in self.bottom_up() {
            let Some(children) = self.trees.get(place).map(|tree| tree.children.clone()) else { continue };
            let mut kept = Vec::with_capacity(children.len());
            for child in children {
                match self.trees.get_mut(child) {
                    Some(tree) if tree.letter.is_none() => kept.append(&mut tree.children),
                    _ => kept.push(child),
                }
            }
            self.adopt(place, kept);
        }
        let mut roots = Vec::new();
        for root in std::mem::take(&mut self.roots) {
            match self.tree(root) {
                Some(Tree { letter: None, children, .. }) => match children.as_slice() {
                    [] => {}
                    [only] => roots.push(*only),
                    _ => roots.push(root),
                },
                _ => roots.push(root),
            }
        }
        for root in &roots {
            if let Some(tree) = self.trees.get_mut(*root) {
                tree.parent = None;
            }
        }
        self.roots = roots;
    }

    fn adopt(&mut self, place: usize, children: Vec<usize>) {
        for child in &children {
            if let Some(tree) = self.trees.get_mut(*child) {
                tree.parent = Some(place);
            }
        }
        if let Some(tree) = self.trees.get_mut(place) {
            tree.children = children;
        }
    }

    /// By date (§4, steps 4 and 6): what is not there has that of the first that answers it.
    fn sort(&mut self, letters: &[Letter]) {
        let mut keys: Vec<(Timestamp, u32)> = vec![(Timestamp::from_millis(0), 0); self.trees.len()];
        for place in self.bottom_up() {
            let Some(tree) = self.trees.get_mut(place) else { continue };
            let mut children = std::mem::take(&mut tree.children);
            let key = |place: &usize| keys.get(*place).copied();
            children.sort_by_key(key);
            let first = children.first().and_then(key);
            let own = tree.letter.and_then(|letter| letters.get(letter)).map(|one| (one.sent, one.number));
            tree.children = children;
            if let (Some(slot), Some(own)) = (keys.get_mut(place), own.or(first)) {
                *slot = own;
            }
        }
        self.roots.sort_by_key(|place| keys.get(*place).copied());
    }

    /// The message whose subject a thread has.
    fn head<'a>(&self, root: usize, letters: &'a [Letter]) -> Option<&'a Letter> {
        let tree = self.tree(root)?;
        let of_child = || self.tree(*tree.children.first()?)?.letter;
        letters.get(tree.letter.or_else(of_child)?)
    }

    /// Threads with one subject become one (§4, step 5).
    fn gather(&mut self, letters: &[Letter]) {
        let mut by_subject: HashMap<String, usize> = HashMap::new();
        for root in self.roots.clone() {
            let Some(head) = self.head(root, letters).filter(|head| !head.subject.is_empty()) else {
                continue;
            };
            let is_better = |old: &usize| {
                let is_dummy = |place: usize| self.tree(place).is_some_and(|tree| tree.letter.is_none());
                let old_is_reply = self.head(*old, letters).is_some_and(|old| old.is_reply);
                (is_dummy(root) && !is_dummy(*old)) || (!is_dummy(*old) && old_is_reply && !head.is_reply)
            };
            if by_subject.get(&head.subject).is_none_or(is_better) {
                by_subject.insert(head.subject.clone(), root);
            }
        }
        let mut gone = HashSet::new();
        for root in self.roots.clone() {
            let Some(head) = self.head(root, letters).filter(|_| !gone.contains(&root)) else { continue };
            let Some(first) = by_subject.get(&head.subject).copied().filter(|first| *first != root) else {
                continue;
            };
            let is_dummy = |place: usize| self.tree(place).is_some_and(|tree| tree.letter.is_none());
            let is_reply_to = head.is_reply && !self.head(first, letters).is_some_and(|first| first.is_reply);
            gone.insert(root);
            match (is_dummy(root), is_dummy(first)) {
                (true, true) => {
                    let children = self.trees.get_mut(root).map(|tree| std::mem::take(&mut tree.children));
                    for child in children.unwrap_or_default() {
                        self.adopt_one(first, child);
                    }
                }
                (false, true) => self.adopt_one(first, root),
                (false, false) if is_reply_to => self.adopt_one(first, root),
                _ => {
                    let both = self.plant(None);
                    gone.insert(first);
                    self.roots.push(both);
                    self.adopt(both, vec![first, root]);
                    by_subject.insert(head.subject.clone(), both);
                }
            }
        }
        self.roots.retain(|root| !gone.contains(root));
    }

    fn adopt_one(&mut self, parent: usize, child: usize) {
        if let Some(tree) = self.trees.get_mut(child) {
            tree.parent = Some(parent);
        }
        if let Some(tree) = self.trees.get_mut(parent) {
            tree.children.push(child);
        }
    }

    /// Each before those that answer it.
    fn nodes(&self, letters: &[Letter]) -> Vec<ThreadNode> {
        let mut nodes = Vec::with_capacity(letters.len());
        let mut waiting: Vec<(usize, usize)> = self.roots.iter().rev().map(|root| (0, *root)).collect();
        while let Some((depth, place)) = waiting.pop() {
            let Some(tree) = self.tree(place) else { continue };
            let number = tree.letter.and_then(|letter| letters.get(letter)).map(|letter| letter.number);
            nodes.push(ThreadNode { depth, number });
            waiting.extend(tree.children.iter().rev().map(|child| (depth + 1, *child)));
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, day, subject, ID, references.
    fn letter(number: u32, day: i64, subject: &str, id: &str, references: &str) -> Letter {
        let (subject, is_reply) = base_subject(subject);
        Letter {
            number,
            sent: Timestamp::from_millis(day * 86_400_000),
            subject,
            is_reply,
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            references: references.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// `1 2.3`: three answers two, which answers none and stands behind one.
    fn shape(nodes: &[ThreadNode]) -> String {
        let text = |node: &ThreadNode| {
            let number = node.number.map_or("-".to_owned(), |number| number.to_string());
            format!("{}{number}", ".".repeat(node.depth))
        };
        nodes.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    fn references(letters: &[Letter]) -> String {
        shape(&Forest::grow(letters).nodes(letters))
    }

    #[test]
    fn answers_stand_below_what_they_answer() {
        let letters = [
            letter(1, 1, "plan", "a", ""),
            letter(2, 3, "Re: plan", "b", "a"),
            letter(3, 2, "Re: plan", "c", "a"),
            letter(4, 4, "Re: plan", "d", "a b"),
            letter(5, 5, "other", "e", ""),
        ];
        assert_eq!(references(&letters), "1 .3 .2 ..4 5");
        assert_eq!(shape(&by_subject(letters.to_vec())), "1 .3 .2 .4 5");
    }

    #[test]
    fn what_is_not_there_is_left_out_unless_it_holds_others_together() {
        assert_eq!(references(&[letter(1, 1, "x", "b", "a")]), "1");
        let two = [letter(1, 1, "x", "b", "a"), letter(2, 2, "y", "c", "a")];
        assert_eq!(references(&two), "- .1 .2");
        let below = [letter(1, 1, "x", "a", ""), letter(2, 2, "Re: x", "c", "a b")];
        assert_eq!(references(&below), "1 .2");
    }

    #[test]
    fn threads_of_one_subject_become_one() {
        assert_eq!(references(&[letter(1, 1, "x", "", ""), letter(2, 2, "Re: x", "", "")]), "1 .2");
        let alike = [letter(1, 1, "x", "", ""), letter(2, 2, "x", "", ""), letter(3, 3, "x", "", "")];
        assert_eq!(references(&alike), "- .1 .2 .3");
        assert_eq!(references(&[letter(1, 1, "", "", ""), letter(2, 2, "", "", "")]), "1 2");
    }

    #[test]
    fn circles_and_twins_do_no_harm() {
        assert_eq!(references(&[letter(1, 1, "x", "a", "b"), letter(2, 2, "y", "b", "a")]), "2 .1");
        assert_eq!(references(&[letter(1, 1, "x", "a", "a a")]), "1");
        assert_eq!(references(&[letter(1, 1, "x", "a", ""), letter(2, 2, "y", "a", "")]), "1 2");
        let chain: Vec<Letter> = (1..20_000)
            .map(|number| letter(number, 1, "", &number.to_string(), &(number - 1).to_string()))
            .collect();
        assert_eq!(Forest::grow(&chain).nodes(&chain).len(), chain.len());
    }
}
