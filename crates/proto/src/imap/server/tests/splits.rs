use proptest::prelude::*;

use super::*;

fn play(wire: &[u8], piece_bytes: usize) -> (String, Vec<String>) {
    let mut driver = Driver::new(config());
    driver.run();
    for piece in wire.chunks(piece_bytes.max(1)) {
        driver.push(piece);
    }
    (driver.said(), driver.heard)
}

const SESSION: &str = "a CAPABILITY\r\nb AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlc2FtZQ==\r\nc ENABLE IMAP4rev2\r\n\
    d SELECT {5}\r\nINBOX\r\ne FETCH 1 BODY[]\r\nf APPEND x (\\Draft) {5}\r\nhello {3+}\r\nabc\r\n\
    g IDLE\r\nDONE\r\nh SEARCH TEXT {2+}\r\na \r\ni XYZZY {4+}\r\nabcd\r\nj UNAUTHENTICATE\r\nk LOGOUT\r\n";

#[test]
fn a_session_is_the_same_at_every_split() {
    let whole = play(SESSION.as_bytes(), SESSION.len());
    assert_eq!(
        whole.1,
        [
            "Select",
            "Fetch",
            "append to x",
            "message with 1 flags",
            "literal 5",
            "message \"hello\"",
            "message with 0 flags",
            "literal 3",
            "message \"abc\"",
            "end",
            "Idle",
            "idle ended",
            "Search"
        ]
    );
    assert!(whole.0.ends_with(
        "i BAD there is no such command\r\nj OK you are nobody again\r\n* BYE goodbye\r\nk OK logged out\r\n"
    ));
    for size in [1, 2, 3, 5, 13, 50] {
        assert_eq!(play(SESSION.as_bytes(), size), whole, "in pieces of {size}");
    }
}

proptest! {
    #[test]
    fn any_way_of_splitting_gives_the_same(
        words in prop::collection::vec(
            "a LOGIN alice sesame\r\n|b SELECT x\r\n|c FETCH 1 BODY\\[\\]\r\n|d APPEND x |e IDLE\r\n|DONE\r\n|CATENATE \\(|\
             URL u|TEXT |\\{3\\}\r\n|\\{2\\+\\}\r\n|\\{1500\\+\\}\r\n|abc| |\\)|\r\n|f AUTHENTICATE PLAIN\r\n|\\*\r\n|g LOGOUT\r\n|\
             h UNAUTHENTICATE\r\n|i NOOP\r\n|x{30}",
            0..30,
        ),
        piece_bytes in 1_usize..30,
    ) {
        let wire = words.concat();
        prop_assert_eq!(play(wire.as_bytes(), piece_bytes), play(wire.as_bytes(), wire.len()));
    }
}
