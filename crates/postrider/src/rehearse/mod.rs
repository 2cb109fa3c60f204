//! `rehearse`: a scenario, played against the operator's own configuration on a virtual clock. Routes, schedule, limits
//! and reports are those of `serve`; the outside is simulated (crate `sim`), and the data directory is not touched.

mod cast;
mod play;
mod report;
mod scenario;
mod standard;
mod story;
mod values;

use std::{collections::BTreeSet, path::Path};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    Failure,
    config::{Config, reference, section::Setting},
};
use cast::{Cast, Playable};
use report::SceneReport;
pub use report::{Report, Tally};
use scenario::{DAYS_MAX, Scenario};
use standard::Scene;

/// What is to be played.
#[derive(Debug)]
pub struct Order<'a> {
    pub config: &'a Config,
    /// None: the standard scenes.
    pub scenario: Option<&'a Path>,
    pub days: Option<u32>,
    pub seed: u64,
}

pub fn rehearse(order: &Order<'_>) -> Result<Report, Failure> {
    let playable = Playable::new(order.config);
    let (mut scenes, more) = match order.scenario {
        Some(path) => (vec![own_scene(path)?], Vec::new()),
        None => standard::scenes(&playable)?,
    };
    if let Some(days) = order.days {
        scenes.iter_mut().try_for_each(|scene| shorten(scene, days))?;
    }
    let progress = progress(&scenes);
    let mut reports = Vec::new();
    let mut hours_begun = 0;
    for scene in &scenes {
        progress.set_message(scene.name.clone());
        progress.set_position(hours_begun);
        let played = play::play(&playable, &scene.scenario, order.seed, &progress)?;
        hours_begun += u64::from(scene.scenario.days) * 24;
        let notes = scene_notes(&playable, &scene.scenario, &played)?;
        reports.push(SceneReport { name: scene.name.clone(), days: scene.scenario.days, notes, played });
    }
    progress.finish_and_clear();
    let notes = playable.notes.iter().cloned().chain(more).collect();
    let hostname = order.config.hostname.0.clone();
    Ok(Report { hostname, seed: order.seed, notes, scenes: reports })
}

/// The reference of all keys of a scenario, in Markdown.
pub fn keys() -> String {
    let mut out = String::from("# Scenarios of `postrider rehearse`\n");
    reference::write_all(&mut out, Scenario::section());
    out
}

fn own_scene(path: &Path) -> Result<Scene, Failure> {
    let scenario = Scenario::load(path).map_err(Failure::usage)?;
    Ok(Scene { name: path.display().to_string(), scenario })
}

fn shorten(scene: &mut Scene, days: u32) -> Result<(), Failure> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Failure::usage(format!("--days is a number from 1 to {DAYS_MAX}")));
    }
    let last = scene.scenario.message.iter().map(scenario::TestMessage::last_at).map(|span| span.0).max();
    if last.is_some_and(|last| last.as_secs() >= u64::from(days) * 86_400) {
        let message =
            format!("{}: the run is over after {days} days, before all messages are sent", scene.name);
        return Err(Failure::usage(message));
    }
    scene.scenario.days = days;
    Ok(())
}

/// What a reader might take for an answer and is none.
fn scene_notes(
    playable: &Playable,
    scenario: &Scenario,
    played: &play::Played,
) -> Result<Vec<String>, Failure> {
    let cast = Cast::new(playable, scenario)?;
    let called: BTreeSet<&str> = played.connections.iter().map(|called| called.host.as_str()).collect();
    let mut notes = Vec::new();
    for peer in &scenario.peer {
        let hosts: Vec<&str> = match (&peer.domain, &peer.host) {
            (Some(domain), _) => {
                let found = cast.script.mx.get(&domain.0.to_ascii_lowercase());
                found.into_iter().flatten().map(String::as_str).collect()
            }
            (None, host) => host.iter().map(String::as_str).collect(),
        };
        let is_local = |host: &str| host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if !hosts.iter().any(|host| called.contains(host.to_ascii_lowercase().as_str()) || is_local(host)) {
            let name = peer.domain.as_ref().map(|domain| &domain.0).or(peer.host.as_ref());
            notes.push(format!("no connection to {} came about", name.map_or("a peer", String::as_str)));
        }
    }
    Ok(notes)
}

fn progress(scenes: &[Scene]) -> ProgressBar {
    let hours = scenes.iter().map(|scene| u64::from(scene.scenario.days) * 24).sum();
    let style =
        ProgressStyle::with_template("{bar:30} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(hours).with_style(style)
}
