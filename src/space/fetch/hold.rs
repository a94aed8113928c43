//! What is wanted of one picture over time: more at once, less only after it was less for a while, so that a glance
//! aside, a step back and forth or a panel at the edge of the view changes nothing. Plain data; time is an input.

use std::time::Duration;

use super::geometry::{Sight, View};
use super::want::{Reason, Want};

/// Less is fetched after it was enough for this long.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// The same for a stream that is new and whose face may yet have to be hung.
const FRESH: Duration = Duration::from_millis(500);
/// A size stays until its face covers less than this share of what the next smaller one serves.
const SMALLER_BELOW: f32 = 0.64;

/// What is seen of one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Need {
    /// Of the face that shows it best.
    pub view: View,
    /// Its announced size, in pixels; 0 when it was not announced.
    pub announced: (u32, u32),
    /// The whole room is hidden.
    pub hidden: bool,
}

impl Need {
    /// Takes another face that shows the same picture into account.
    pub fn also(&mut self, view: View) {
        if (view.sight, view.area_px) > (self.view.sight, self.view.area_px) {
            self.view = view;
        }
    }

    /// Square pixels of the window its picture covers: it keeps its shape on a face of another.
    pub fn area_px(&self) -> f32 {
        let (width, height) = Want::Full.size_px(self.announced);
        let shapes = self.view.aspect * height as f32 / width as f32;
        let covered = if shapes > 1.0 { shapes.recip() } else { shapes };
        // A face without a shape is taken as it is.
        self.view.area_px * if covered > 0.0 { covered } else { 1.0 }
    }

    /// What it asks for while `held` is fetched: a size does not change for a little more or less.
    fn wish(&self, held: Want) -> (Want, Reason) {
        match self.view.sight {
            _ if self.hidden => (Want::Paused, Reason::WindowHidden),
            Sight::NotShown => (Want::Paused, Reason::NotShown),
            Sight::Away => (Want::Paused, Reason::OutOfView),
            Sight::Near => (Want::Small, Reason::Near),
            Sight::InView => {
                let area_px = self.area_px();
                let want = Want::for_area(area_px, self.announced);
                let keeps = want < held && Want::for_area(area_px / SMALLER_BELOW, self.announced) >= held;
                (if keeps { held } else { want }, Reason::InView)
            }
        }
    }
}

/// What is held on to of one picture. It begins small: seen soon whatever it is, and cheap when nobody looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hold {
    want: Want,
    reason: Reason,
    fresh: bool,
    less_since: Option<Duration>,
}

impl Default for Hold {
    fn default() -> Self {
        Self { want: Want::Small, reason: Reason::New, fresh: true, less_since: None }
    }
}

impl Hold {
    /// What to fetch now, and why.
    pub fn now(&self) -> (Want, Reason) {
        (self.want, self.reason)
    }

    /// Takes in what is needed at `now`, a time that only grows.
    pub fn settle(&mut self, need: &Need, now: Duration) {
        let (wish, why) = need.wish(self.want);
        if wish < self.want {
            let since = *self.less_since.get_or_insert(now);
            let patience = if self.fresh { FRESH } else { PATIENCE };
            if now.saturating_sub(since) < patience {
                self.reason = if self.fresh { Reason::New } else { Reason::Lingering };
                return;
            }
        }
        *self = Self { want: wish, reason: why, fresh: false, less_since: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: (u32, u32) = (1280, 720);

    fn need(sight: Sight, width: f32) -> Need {
        let aspect = 16.0 / 9.0;
        Need { view: View { sight, area_px: width * width / aspect, aspect }, announced: HD, hidden: false }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn more_is_wanted_at_once_and_less_after_two_seconds() {
        let mut hold = Hold::default();
        assert_eq!(hold.now(), (Want::Small, Reason::New));
        hold.settle(&need(Sight::InView, 1200.0), ms(0));
        assert_eq!(hold.now(), (Want::Full, Reason::InView), "in the frame in which it comes into view");
        hold.settle(&need(Sight::InView, 200.0), ms(100));
        hold.settle(&need(Sight::Away, 0.0), ms(2000));
        assert_eq!(hold.now(), (Want::Full, Reason::Lingering));
        hold.settle(&need(Sight::Away, 0.0), ms(2100));
        assert_eq!(hold.now(), (Want::Paused, Reason::OutOfView));
        hold.settle(&need(Sight::Near, 0.0), ms(2200));
        assert_eq!(hold.now(), (Want::Small, Reason::Near));
        hold.settle(&need(Sight::InView, 600.0), ms(2210));
        assert_eq!(hold.now(), (Want::Medium, Reason::InView));
    }

    #[test]
    fn a_glance_aside_changes_nothing() {
        let mut hold = Hold::default();
        hold.settle(&need(Sight::InView, 1200.0), ms(0));
        for glance in 1..20 {
            hold.settle(&need(Sight::Away, 0.0), ms(glance * 2500));
            hold.settle(&need(Sight::Away, 0.0), ms(glance * 2500 + 1900));
            assert_eq!(hold.now().0, Want::Full);
            hold.settle(&need(Sight::InView, 1200.0), ms(glance * 2500 + 2400));
            assert_eq!(hold.now(), (Want::Full, Reason::InView));
        }
    }

    #[test]
    fn swaying_at_a_boundary_keeps_the_size() {
        // Small serves up to 320 x 1.3 = 416 pixels of width.
        let mut hold = Hold::default();
        let mut changes = 0;
        for step in 0..600u64 {
            let before = hold.now().0;
            hold.settle(&need(Sight::InView, if step % 60 < 30 { 430.0 } else { 380.0 }), ms(step * 100));
            changes += u32::from(hold.now().0 != before);
        }
        assert_eq!((changes, hold.now().0), (1, Want::Medium));
        (0..=21).for_each(|step| hold.settle(&need(Sight::InView, 320.0), ms(60_000 + step * 100)));
        assert_eq!(hold.now().0, Want::Small, "well below it is let go");
    }

    #[test]
    fn a_new_stream_that_hangs_nowhere_is_paused_soon_and_was_never_fetched_whole() {
        let mut hold = Hold::default();
        for at in (0..500).step_by(20) {
            hold.settle(&need(Sight::NotShown, 0.0), ms(at));
            assert_eq!(hold.now(), (Want::Small, Reason::New));
        }
        hold.settle(&need(Sight::NotShown, 0.0), ms(500));
        assert_eq!(hold.now(), (Want::Paused, Reason::NotShown));
    }

    #[test]
    fn a_hidden_window_pauses_what_is_in_view_and_gets_it_back_at_once() {
        let (seen, mut hidden) = (need(Sight::InView, 1200.0), need(Sight::InView, 1200.0));
        hidden.hidden = true;
        let mut hold = Hold::default();
        hold.settle(&seen, ms(0));
        hold.settle(&hidden, ms(10));
        assert_eq!(hold.now().0, Want::Full, "a window that is moved behind another for a moment");
        hold.settle(&hidden, ms(2010));
        assert_eq!(hold.now(), (Want::Paused, Reason::WindowHidden));
        hold.settle(&seen, ms(2020));
        assert_eq!(hold.now(), (Want::Full, Reason::InView));
    }

    #[test]
    fn the_best_of_two_faces_counts_and_a_shape_keeps_its_own() {
        let mut two = need(Sight::NotShown, 0.0);
        for (sight, area_px) in [(Sight::Near, 0.0), (Sight::InView, 900.0), (Sight::InView, 400.0), (Sight::Away, 0.0)]
        {
            two.also(View { sight, area_px, aspect: 16.0 / 9.0 });
        }
        assert_eq!((two.view.sight, two.view.area_px), (Sight::InView, 900.0));
        let upright = Need { announced: (720, 1280), ..need(Sight::InView, 800.0) };
        let share = upright.area_px() / need(Sight::InView, 800.0).area_px();
        assert!((share - (9.0f32 / 16.0).powi(2)).abs() < 1e-3, "an upright picture on a wide face: {share}");
        let shapeless = Need { view: View { aspect: f32::NAN, ..upright.view }, ..upright };
        assert!(shapeless.area_px() > 0.0);
    }

    #[test]
    fn a_stream_that_changes_its_size_is_judged_by_the_new_one() {
        let mut hold = Hold::default();
        hold.settle(&need(Sight::InView, 600.0), ms(0));
        assert_eq!(hold.now().0, Want::Medium);
        hold.settle(&Need { announced: (320, 180), ..need(Sight::InView, 600.0) }, ms(10));
        assert_eq!(hold.now().0, Want::Full, "all of a small picture");
        for (at, announced) in [(20, (1, 1)), (30, (7680, 4320)), (40, (0, 0)), (50, (u32::MAX, 1))] {
            hold.settle(&Need { announced, ..need(Sight::InView, 600.0) }, ms(at));
        }
        assert_ne!(hold.now().0, Want::Paused);
    }
}
