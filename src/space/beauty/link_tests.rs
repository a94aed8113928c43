//! The way from the camera to the encoder, with a stand-in for the graphics device. Time is an input.

use super::*;
use crate::model::BeautyParams;

/// A picture that says which it is.
fn picture(number: u64) -> VideoFrame {
    VideoFrame::new(64, 48, Default::default(), number, vec![100; VideoFrame::byte_len(64, 48)]).unwrap()
}

/// The same, as it comes back.
fn filtered(job: &Job) -> VideoFrame {
    let mut frame = job.frame.clone();
    frame.planes_mut().0.fill(200);
    frame
}

fn wish(on_failure: OnBeautyFailure) -> Beauty {
    Beauty { on_failure, ..Beauty::of(BeautyParams::default()) }
}

struct Way {
    link: BeautyLink,
    lane: Arc<Lane>,
    entrance: Entrance,
    now: Instant,
    number: u64,
}

impl Way {
    fn new() -> Self {
        let link = BeautyLink::default();
        let lane = link.open_lane();
        let entrance = Entrance::new(link.clone(), Arc::clone(&lane));
        Self { link, lane, entrance, now: Instant::now(), number: 0 }
    }

    /// The camera gives a picture.
    fn give(&mut self) -> Result<u64, CaptureError> {
        self.number += 1;
        self.now += Duration::from_millis(50);
        self.entrance.offer(picture(self.number), self.now)?;
        Ok(self.number)
    }

    /// What goes on now: which, and whether it is filtered.
    fn passed(&self) -> Option<(u64, bool)> {
        let frame = self.lane.next(Duration::ZERO)?.unwrap();
        Some((frame.timestamp_us(), frame.y()[0] == 200))
    }

    /// The device takes what waits, and is done with it.
    fn filter(&self) {
        let job = self.link.take_job().unwrap();
        job.done(filtered(&job), Duration::from_millis(2));
    }

    fn state(&self) -> BeautyState {
        self.link.status().state
    }
}

#[test]
fn nothing_unfiltered_goes_on_between_the_wish_and_the_first_filtered_picture() {
    let mut way = Way::new();
    way.give().unwrap();
    assert_eq!(way.passed(), Some((1, false)));
    way.give().unwrap();
    way.link.set(wish(OnBeautyFailure::Continue));
    way.give().unwrap();
    assert_eq!((way.passed(), way.state()), (None, BeautyState::Starting), "the second is withdrawn, the third waits");
    way.give().unwrap();
    way.filter();
    assert_eq!((way.passed(), way.state()), (Some((4, true)), BeautyState::On), "the newest is filtered");
    assert!(way.link.take_job().is_none());
    way.link.set(Beauty { enabled: false, ..way.link.wish() });
    way.give().unwrap();
    assert_eq!((way.passed(), way.state()), (Some((5, false)), BeautyState::Off));
}

#[test]
fn all_filters_at_zero_are_the_picture_itself() {
    let mut way = Way::new();
    way.link.set(Beauty::of(BeautyParams::NONE));
    way.give().unwrap();
    assert_eq!((way.passed(), way.state()), (Some((1, false)), BeautyState::Off));
    assert!(way.link.take_job().is_none(), "no pass runs");
    assert!(!way.link.is_needed());
}

#[test]
fn pictures_keep_their_order_and_late_ones_are_let_go() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Continue));
    way.give().unwrap();
    let first = way.link.take_job().unwrap();
    way.give().unwrap();
    let second = way.link.take_job().unwrap();
    second.done(filtered(&second), Duration::ZERO);
    assert_eq!(way.passed(), Some((2, true)));
    first.done(filtered(&first), Duration::ZERO);
    assert_eq!(way.passed(), None);
    way.give().unwrap();
    let third = way.link.take_job().unwrap();
    way.link.set(Beauty::default());
    way.give().unwrap();
    third.done(filtered(&third), Duration::ZERO);
    assert_eq!(way.passed(), Some((4, false)), "switched off meanwhile");
    assert_eq!((way.passed(), way.state()), (None, BeautyState::Off));
}

#[test]
fn when_nothing_comes_back_the_picture_goes_on_and_is_filtered_again_when_it_does() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Continue));
    way.give().unwrap();
    way.filter();
    assert_eq!(way.passed(), Some((1, true)));
    for _ in 0..60 {
        way.give().unwrap();
        assert_eq!(way.passed(), None);
    }
    way.give().unwrap();
    way.give().unwrap();
    assert_eq!(way.state(), BeautyState::Failed);
    assert_eq!(way.passed(), Some((way.number, false)));
    assert!(way.link.status().error.unwrap().contains("3 s"));
    // The device is back: with what waited, too old to be sent.
    way.filter();
    assert_eq!((way.passed(), way.state()), (None, BeautyState::On));
    way.give().unwrap();
    assert_eq!(way.passed(), None);
    way.filter();
    assert_eq!(way.passed(), Some((way.number, true)));
    assert_eq!(way.link.status().error, None);
}

#[test]
fn who_would_rather_not_be_seen_is_not_seen() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Stop));
    way.give().unwrap();
    let error = loop {
        match way.give() {
            Ok(_) => assert_eq!(way.passed(), None),
            Err(error) => break error,
        }
    };
    let waited = way.number * 50;
    assert!((10_000..10_200).contains(&waited), "the first one may take longer: {waited} ms");
    assert!(error.to_string().contains("publish it again"), "{error}");
}

#[test]
fn what_the_device_refuses_is_said_at_once() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Continue));
    way.give().unwrap();
    way.link.take_job().unwrap().failed("too large".to_owned());
    assert_eq!(way.link.status().error.as_deref(), Some("too large"));
    way.give().unwrap();
    assert_eq!((way.passed(), way.state()), (Some((2, false)), BeautyState::Failed));
    way.link.set(Beauty::default());
    way.give().unwrap();
    assert_eq!((way.link.status().error, way.state()), (None, BeautyState::Off));
}

#[test]
fn an_unfiltered_picture_that_is_looked_at_goes_both_ways() {
    let mut way = Way::new();
    way.link.watch(true);
    assert!(way.link.is_needed());
    way.give().unwrap();
    assert_eq!(way.passed(), Some((1, false)));
    assert!(way.link.take_job().unwrap().preview_only);
    assert_eq!(way.state(), BeautyState::Off);
}

#[test]
fn toggling_at_every_picture_neither_shows_what_should_not_be_seen_nor_goes_back() {
    let mut way = Way::new();
    let mut newest = 0;
    let mut flying = Vec::new();
    for round in 0..400_u64 {
        let on = round % 2 == 0;
        way.link.set(if on { wish(OnBeautyFailure::Continue) } else { Beauty::default() });
        way.give().unwrap();
        flying.extend(way.link.take_job());
        // Three are on their way at a time, and come back late.
        if flying.len() > 3 {
            let job: Job = flying.remove(0);
            job.done(filtered(&job), Duration::from_millis(60));
        }
        while let Some((number, is_filtered)) = way.passed() {
            assert!(number > newest, "{number} after {newest}");
            assert!(is_filtered || !on, "unfiltered while filtering is wished for");
            newest = number;
        }
    }
    assert!(newest > 390);
}

#[test]
fn the_next_camera_begins_afresh_under_the_same_wish() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Continue));
    way.give().unwrap();
    let old = way.link.take_job().unwrap();
    way.lane = way.link.open_lane();
    way.entrance = Entrance::new(way.link.clone(), Arc::clone(&way.lane));
    way.give().unwrap();
    old.done(filtered(&old), Duration::ZERO);
    assert_eq!(way.passed(), None, "the old camera's picture is nobody's");
    way.filter();
    assert_eq!(way.passed(), Some((2, true)));
}

#[test]
fn a_machine_that_is_too_slow_gets_smaller_pictures() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Continue));
    let mut sizes = Vec::new();
    for number in 0..100 {
        way.now += Duration::from_millis(50);
        let large = VideoFrame::new(640, 360, Default::default(), number, vec![100; VideoFrame::byte_len(640, 360)]);
        way.entrance.offer(large.unwrap(), way.now).unwrap();
        let job = way.link.take_job().unwrap();
        sizes.push((job.frame.width(), job.frame.height()));
        job.done(filtered(&job), Duration::from_millis(40));
    }
    assert_eq!((sizes[0], sizes[99]), ((640, 360), (160, 90)));
    let figures = way.link.status().figures;
    assert_eq!((figures.source, figures.size, figures.filtered), ((640, 360), (160, 90), 100));
    assert!((figures.cost_ms - 40.0).abs() < 1.0);
}

#[test]
fn a_rest_is_no_failure_and_nothing_from_before_goes_on_after_it() {
    let mut way = Way::new();
    way.link.set(wish(OnBeautyFailure::Stop));
    way.give().unwrap();
    way.filter();
    assert_eq!(way.passed(), Some((1, true)));
    way.give().unwrap();
    let old = way.link.take_job().unwrap();
    way.give().unwrap();
    way.entrance.rest();
    assert!(way.link.take_job().is_none(), "what waited is let go");
    old.failed("the room is gone".to_owned());
    way.now += Duration::from_secs(600);
    way.give().unwrap();
    assert_eq!((way.passed(), way.state(), way.link.status().error), (None, BeautyState::On, None));
    old.done(filtered(&old), Duration::ZERO);
    assert_eq!(way.passed(), None, "from before the rest");
    way.filter();
    assert_eq!((way.passed(), way.state()), (Some((4, true)), BeautyState::On));
}

#[test]
fn what_is_wished_for_during_a_rest_holds_for_the_first_picture_after_it() {
    let mut way = Way::new();
    way.give().unwrap();
    way.entrance.rest();
    way.link.set(wish(OnBeautyFailure::Continue));
    assert_eq!(way.passed(), None, "not even the unfiltered one from before");
    way.give().unwrap();
    assert_eq!((way.passed(), way.state()), (None, BeautyState::Starting));
    way.filter();
    assert_eq!(way.passed(), Some((2, true)));
}
