//! Who is large in the speaker view: whoever speaks, and for as long as nobody else does. Plain data; time is an input.

use bevy::prelude::*;

/// How long somebody else must speak before they take the place: a cough does not.
const TAKEOVER_SECS: f32 = 0.8;

/// Who is shown large, and who may be next.
#[derive(Debug, Default)]
pub(super) struct Spotlight {
    shown: Option<Entity>,
    rival: Option<(Entity, f32)>,
}

impl Spotlight {
    /// Whom to show, of these people in their order, each with whether they speak and how loudly. Called once a frame.
    pub(super) fn follow(&mut self, people: &[(Entity, bool, f32)], dt_secs: f32) -> Option<Entity> {
        let present = |who: Entity| people.iter().any(|(entity, ..)| *entity == who);
        let speaks = |who: Entity| people.iter().any(|(entity, speaks, _)| *entity == who && *speaks);
        self.shown = self.shown.filter(|who| present(*who));
        let loudest = people.iter().filter(|(_, speaks, _)| *speaks).max_by(|a, b| a.2.total_cmp(&b.2));
        match (self.shown, loudest) {
            (None, loudest) => {
                self.shown = loudest.or(people.first()).map(|(entity, ..)| *entity);
                self.rival = None;
            }
            // Whoever is shown and speaks stays, however loud the others are.
            (Some(shown), _) if speaks(shown) => self.rival = None,
            (Some(_), None) => self.rival = None,
            (Some(_), Some((loudest, ..))) => {
                // The one who began first goes on waiting while they speak.
                let rival = self.rival.filter(|(who, _)| speaks(*who)).unwrap_or((*loudest, 0.0));
                let waited = rival.1 + dt_secs;
                self.rival = Some((rival.0, waited));
                if waited >= TAKEOVER_SECS {
                    self.shown = Some(rival.0);
                    self.rival = None;
                }
            }
        }
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn someone(n: u32) -> Entity {
        Entity::from_raw_u32(n).unwrap()
    }

    #[test]
    fn the_first_is_shown_until_somebody_speaks() {
        let (a, b) = (someone(1), someone(2));
        let mut light = Spotlight::default();
        assert_eq!(light.follow(&[], 0.1), None);
        assert_eq!(light.follow(&[(a, false, 0.0), (b, false, 0.0)], 0.1), Some(a));
        for _ in 0..7 {
            assert_eq!(light.follow(&[(a, false, 0.0), (b, true, 0.3)], 0.1), Some(a), "not for a cough");
        }
        for _ in 0..3 {
            light.follow(&[(a, false, 0.0), (b, true, 0.3)], 0.1);
        }
        assert_eq!(light.follow(&[(a, false, 0.0), (b, false, 0.0)], 0.1), Some(b), "and stays in the silence after");
    }

    #[test]
    fn interrupting_does_not_flicker_and_leaving_hands_over() {
        let (a, b, c) = (someone(1), someone(2), someone(3));
        let mut light = Spotlight::default();
        light.follow(&[(a, true, 0.2), (b, false, 0.0), (c, false, 0.0)], 0.1);
        for _ in 0..50 {
            let shown = light.follow(&[(a, true, 0.1), (b, true, 0.9), (c, true, 0.8)], 0.1);
            assert_eq!(shown, Some(a), "whoever speaks keeps the place");
        }
        assert_eq!(light.follow(&[(b, false, 0.0), (c, true, 0.4)], 0.1), Some(c), "gone: the one who speaks");
        assert_eq!(light.follow(&[(b, false, 0.0)], 0.1), Some(b));
    }

    #[test]
    fn a_cough_starts_the_wait_anew() {
        let (a, b) = (someone(1), someone(2));
        let mut light = Spotlight::default();
        light.follow(&[(a, false, 0.0), (b, false, 0.0)], 0.1);
        for step in 0..40 {
            let coughs = step % 4 == 0;
            assert_eq!(light.follow(&[(a, false, 0.0), (b, coughs, 0.5)], 0.1), Some(a));
        }
    }
}
