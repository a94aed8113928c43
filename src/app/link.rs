//! The link others come in by, as hosts left it: when they make it anew, everybody inside has the new one to pass on, and
//! comes back by it.

use bevy::prelude::*;

use crate::protocol::invitation;
use crate::space::Comfort;
use crate::space::sync::RoomStatus;
use crate::space::ui::{Lobby, Notices, RoomLink};

/// Where links into the room lead that one is in without one.
#[derive(Resource, Default)]
pub(super) struct LinkAddress(pub Option<String>);

/// Follows the room's links.
pub(super) fn plugin(app: &mut App) {
    app.init_resource::<LinkAddress>().add_systems(Update, renew);
}

fn renew(
    (status, comfort, address): (Res<RoomStatus>, Res<Comfort>, Res<LinkAddress>),
    (mut link, mut lobby, mut notices): (ResMut<RoomLink>, ResMut<Lobby>, ResMut<Notices>),
) {
    if !status.is_changed() && !link.is_changed() && !address.is_changed() {
        return;
    }
    let (Some(old), Some(code)) = (link.0.as_ref().or(address.0.as_ref()), &status.order.link) else { return };
    let Some(new) = invitation::with_code(old, code).filter(|new| new != old) else { return };
    if let Some(at) = lobby.recent.iter().position(|room| room.link == *old) {
        lobby.recent[at].link.clone_from(&new);
    }
    if lobby.link.trim() == old.trim() {
        lobby.link.clone_from(&new);
    }
    // Whoever had none is not told of another one.
    if status.host && link.0.is_some() {
        notices.tell(comfort.language.words().people.link_renewed, false);
    }
    link.0 = Some(new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LinkCode;
    use crate::space::ui::RecentRoom;

    fn link(app: &App) -> Option<String> {
        app.world().resource::<RoomLink>().0.clone()
    }

    /// Somebody in a room with these links before.
    fn inside(link: Option<&str>, recent: &[RecentRoom]) -> App {
        let mut app = App::new();
        let lobby = Lobby { recent: recent.to_vec(), link: link.unwrap_or_default().into(), ..Lobby::default() };
        app.add_plugins(plugin)
            .init_resource::<RoomStatus>()
            .init_resource::<Comfort>()
            .init_resource::<Notices>()
            .insert_resource(RoomLink(link.map(Into::into)))
            .insert_resource(lobby);
        app.update();
        app
    }

    fn make_anew(app: &mut App, made_secs: u32) -> LinkCode {
        let code = LinkCode { made_secs, mark: [8; 10] };
        app.world_mut().resource_mut::<RoomStatus>().order.link = Some(code);
        app.update();
        code
    }

    #[test]
    fn a_link_made_anew_is_passed_on_and_led_back_by() {
        let old = "http://192.0.2.7:7880/join/team?code=0123456789abcdef";
        let recent = |link: &str| RecentRoom { room: "team".into(), link: link.into() };
        let elsewhere = recent("http://192.0.2.9:7880/join/team?code=0123456789abcdef");
        let mut app = inside(Some(old), &[elsewhere.clone(), recent(old)]);
        assert_eq!(link(&app).as_deref(), Some(old));
        for made_secs in [1, 2] {
            let code = make_anew(&mut app, made_secs);
            let new = format!("http://192.0.2.7:7880/join/team?code={code}");
            assert_eq!(link(&app).as_ref(), Some(&new));
            let lobby = app.world().resource::<Lobby>();
            assert_eq!((&lobby.recent[..], &lobby.link), (&[elsewhere.clone(), recent(&new)][..], &new));
        }
    }

    #[test]
    fn who_came_with_a_token_has_a_link_once_there_is_one() {
        let mut app = inside(None, &[]);
        app.insert_resource(LinkAddress(Some("https://call.example/join/team".into())));
        app.update();
        assert_eq!(link(&app), None, "nobody knows the first one here");
        let code = make_anew(&mut app, 1);
        assert_eq!(link(&app), Some(format!("https://call.example/join/team?code={code}")));
    }

    #[test]
    fn other_token_endpoints_are_left_alone() {
        let theirs = "https://tokens.example.org/call?code=0123456789abcdef";
        let mut app = inside(Some(theirs), &[]);
        make_anew(&mut app, 1);
        assert_eq!(link(&app).as_deref(), Some(theirs));
    }
}
