//! Where people are: the own pose out, at the pace of [`PosePace`], those of the others in, past the [`PoseBook`], onto
//! the bridge's board. Nothing of it is an event.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use proto::data_packet::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::Call;
use crate::bridge::{PoseBoard, ToldPose};
use crate::client::link::Link;
use crate::model::{Pose, UserId, UserInfo};
use crate::protocol::pose::PosePacket;
use crate::protocol::pose_book::PoseBook;
use crate::protocol::pose_pace::PosePace;
use crate::protocol::topics::TOPIC_POSE;

/// After a fresh login everyone who still stands says so within the pause that they keep, and this.
const CONFIRM: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub(super) struct Poses {
    board: PoseBoard,
    own: watch::Receiver<Pose>,
    pace: PosePace,
    book: PoseBook,
    /// Everyone's session: a fresh login begins at the seat.
    sessions: HashMap<UserId, String>,
    /// Who stood before the link broke and was not heard since, and how long they are believed.
    unconfirmed: BTreeSet<UserId>,
    believed_until: Duration,
    /// What the clock of pace and packets counts from.
    began: Instant,
}

impl Poses {
    pub(super) fn new(board: PoseBoard) -> Self {
        board.clear();
        Self {
            own: board.own(),
            board,
            pace: PosePace::default(),
            book: PoseBook::default(),
            sessions: HashMap::new(),
            unconfirmed: BTreeSet::new(),
            believed_until: Duration::ZERO,
            began: Instant::now(),
        }
    }

    /// A fresh login: nobody knows us, and what we know may have changed meanwhile.
    pub(super) fn new_link(&mut self) {
        self.pace.new_link();
        self.unconfirmed = self.board.look(|told| told.keys().cloned().collect());
        self.believed_until = self.began.elapsed() + 2 * self.pace.rest() + CONFIRM;
    }

    /// Waits until the own pose has to be told. Nothing is lost when the wait is given up.
    pub(super) async fn due(&mut self) {
        loop {
            self.pace.set(*self.own.borrow_and_update());
            let wait = self.pace.due().map(|due| due.saturating_sub(self.began.elapsed()));
            let changed = tokio::select! {
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => return,
                changed = self.own.changed() => changed,
            };
            if changed.is_err() {
                // The board is ours, too, so this does not happen; if it did, there would be nothing to tell.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Somebody is here, with this session.
    pub(super) fn came(&mut self, user: &UserInfo) {
        let known = self.sessions.insert(user.id.clone(), user.sid.clone());
        if known.as_deref() != Some(user.sid.as_str()) {
            if known.is_some() {
                self.sit(&user.id);
            }
            self.pace.came(&user.id, self.began.elapsed(), rand::random());
        }
    }

    /// Somebody is gone.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.sessions.remove(user);
        self.pace.went(user);
        self.sit(user);
    }

    fn sit(&mut self, user: &UserId) {
        self.unconfirmed.remove(user);
        self.book.forget(user);
        self.board.remove(user);
    }

    /// Those who did not say again that they stand have sat down while we were away.
    pub(super) fn expire(&mut self, online: u32) {
        self.pace.set_online(online);
        if !self.unconfirmed.is_empty() && self.began.elapsed() > self.believed_until {
            for user in std::mem::take(&mut self.unconfirmed) {
                self.board.remove(&user);
            }
        }
    }

    /// Somebody told where they are; `session` is empty where the server does not say.
    pub(super) fn heard(&mut self, from: Option<&UserId>, session: &str, payload: &[u8]) {
        let here = from.filter(|user| {
            let known = self.sessions.get(*user);
            known.is_some_and(|known| session.is_empty() || known == session)
        });
        match here {
            None => self.book.hear_stranger(),
            Some(user) => {
                if let Some(PosePacket { sent_ms, pose }) = self.book.hear(user, payload, self.began.elapsed()) {
                    self.unconfirmed.remove(user);
                    self.board.put(user.clone(), ToldPose { pose, sent_ms, heard: Instant::now() });
                }
            }
        }
        self.board.set_counts(self.book.counts());
    }
}

impl Drop for Poses {
    fn drop(&mut self) {
        self.board.clear();
    }
}

impl Call<'_> {
    /// Tells the own pose, if it is due and there is a link.
    pub(super) async fn tell_pose(&mut self, link: &mut Link) {
        let now = self.poses.began.elapsed();
        let Some(telling) = self.poses.pace.take(now) else { return };
        // The clock says when we were there, in ms; it wraps after seven weeks.
        let packet = PosePacket { sent_ms: now.as_millis() as u32, pose: telling.pose };
        let user = proto::UserPacket {
            payload: packet.encode().to_vec(),
            topic: Some(TOPIC_POSE.to_owned()),
            ..Default::default()
        };
        let sent = match self.recovery {
            None => link.channels.send(Value::User(user), telling.reliable, &telling.to).await.is_ok(),
            Some(_) => false,
        };
        if !sent {
            self.poses.pace.failed(telling, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stand;

    fn person(id: &str, sid: &str) -> UserInfo {
        UserInfo {
            id: UserId::new(id).unwrap(),
            name: id.into(),
            sid: sid.into(),
            joined_at_ms: 0,
            attributes: Default::default(),
            metadata: String::new(),
        }
    }

    fn packet(sent_ms: u32) -> Vec<u8> {
        PosePacket { sent_ms, pose: Pose::Standing(Stand::new(1.0, 1.0, 0.0).unwrap()) }.encode().to_vec()
    }

    #[test]
    fn only_people_who_are_here_stand_anywhere() {
        let board = PoseBoard::default();
        let mut poses = Poses::new(board.clone());
        let ann = person("ann", "PA_1");
        poses.heard(Some(&ann.id), "PA_1", &packet(1));
        poses.heard(None, "", &packet(1));
        assert_eq!((board.look(|told| told.len()), board.counts().strangers), (0, 2));
        poses.came(&ann);
        poses.heard(Some(&ann.id), "PA_0", &packet(1));
        assert_eq!(board.counts().strangers, 3, "of a login that has ended");
        poses.heard(Some(&ann.id), "PA_1", &packet(1));
        assert!(board.look(|told| told.contains_key(&ann.id)));
        poses.came(&person("ann", "PA_1"));
        assert!(board.look(|told| told.contains_key(&ann.id)), "an update of her name changes nothing");
        poses.came(&person("ann", "PA_2"));
        assert!(board.look(|told| told.is_empty()), "who logs in anew sits");
        poses.heard(Some(&ann.id), "", &packet(0));
        assert!(board.look(|told| told.contains_key(&ann.id)), "and her clock may begin again");
        poses.forget(&ann.id);
        assert!(board.look(|told| told.is_empty()));
        poses.came(&ann);
        poses.heard(Some(&ann.id), "PA_1", &packet(1));
        drop(poses);
        assert!(board.look(|told| told.is_empty()), "nothing of a call outlives it");
    }

    #[test]
    fn who_sat_down_while_we_were_away_is_not_believed_to_stand_for_long() {
        let board = PoseBoard::default();
        let mut poses = Poses::new(board.clone());
        for id in ["ann", "bob"] {
            poses.came(&person(id, "PA_1"));
            poses.heard(Some(&UserId::new(id).unwrap()), "PA_1", &packet(1));
        }
        poses.new_link();
        poses.heard(Some(&UserId::new("ann").unwrap()), "PA_1", &packet(2));
        poses.expire(3);
        assert_eq!(board.look(|told| told.len()), 2, "there is time to say so");
        poses.believed_until = Duration::ZERO;
        poses.expire(3);
        let left: Vec<UserId> = board.look(|told| told.keys().cloned().collect());
        assert_eq!(left, [UserId::new("ann").unwrap()]);
    }
}
