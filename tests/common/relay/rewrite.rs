//! Turns signalling so that all media goes through the relay: the server's candidates become the relay's address, the
//! client's are taken out. Pure functions on text and bytes.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol::{JoinRequest, SessionDescription, TrickleRequest, WrappedJoinRequest, wrapped_join_request};
use prost::Message as _;
use serde_json::Value;

/// A join request unpacked is taken up to this size, as by the servers.
const JOIN_REQUEST_MAX_BYTES: u64 = 1 << 20;

/// The address in a candidate of the first component, where it is UDP with an address written out (RFC 8839
/// section 5.1).
pub fn udp_address(candidate: &str) -> Option<SocketAddr> {
    let mut words = candidate.split_ascii_whitespace().skip(1);
    let (component, transport) = (words.next()?, words.next()?);
    let (address, port) = (words.nth(1)?, words.next()?);
    if component != "1" || !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
}

/// The same candidate at another address, without what tells where it was before.
fn moved(candidate: &str, to: SocketAddr) -> String {
    let mut words: Vec<String> = candidate.split_ascii_whitespace().map(str::to_owned).collect();
    words[4] = to.ip().to_string();
    words[5] = to.port().to_string();
    words.join(" ")
}

/// The better of two ways to a server: over loopback, then IPv4, then the first that came.
pub fn better(known: Option<SocketAddr>, new: SocketAddr) -> SocketAddr {
    let rank = |address: SocketAddr| (address.ip().is_loopback(), address.is_ipv4());
    match known {
        Some(known) if rank(known) >= rank(new) => known,
        _ => new,
    }
}

/// The best of a server's addresses in a description.
pub fn server_address(sdp: &str) -> Option<SocketAddr> {
    let candidates = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    candidates.filter_map(udp_address).fold(None, |known, new| Some(better(known, new)))
}

/// A description in which every section keeps one UDP candidate, at the relay.
pub fn redirect(sdp: &str, to: SocketAddr) -> String {
    let mut taken = false;
    lines(sdp, |line| {
        taken &= !line.starts_with("m=");
        let Some(candidate) = line.strip_prefix("a=candidate:") else { return Some(line.to_owned()) };
        if taken || udp_address(candidate).is_none() {
            return None;
        }
        taken = true;
        Some(format!("a=candidate:{}", moved(candidate, to)))
    })
}

/// A description without candidates and without addresses.
pub fn strip(sdp: &str) -> String {
    lines(sdp, |line| {
        if line.starts_with("a=candidate:") {
            None
        } else if line.starts_with("c=IN ") {
            Some("c=IN IP4 0.0.0.0".to_owned())
        } else {
            Some(line.to_owned())
        }
    })
}

pub fn strip_description(description: &mut SessionDescription) {
    description.sdp = strip(&description.sdp);
}

fn lines(sdp: &str, mut each: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        if let Some(line) = each(line) {
            out.push_str(&line);
            out.push_str("\r\n");
        }
    }
    out
}

/// What a server's trickled candidate says: its address, where it is a way we can go.
pub fn trickled_address(trickle: &TrickleRequest) -> Option<SocketAddr> {
    let init: Value = serde_json::from_str(&trickle.candidate_init).ok()?;
    udp_address(init["candidate"].as_str()?)
}

/// The same candidate at the relay.
pub fn redirect_trickle(trickle: &mut TrickleRequest, to: SocketAddr) {
    let Ok(mut init) = serde_json::from_str::<Value>(&trickle.candidate_init) else { return };
    if let Some(candidate) = init["candidate"].as_str().map(|candidate| moved(candidate, to)) {
        init["candidate"] = candidate.into();
        trickle.candidate_init = init.to_string();
    }
}

/// Leaves of a candidate that it was the last one (RFC 8838 section 8.2).
pub fn empty_trickle(trickle: &mut TrickleRequest) {
    let Ok(mut init) = serde_json::from_str::<Value>(&trickle.candidate_init) else { return };
    if init.get("candidate").is_some() {
        init["candidate"] = "".into();
        trickle.candidate_init = init.to_string();
    }
}

/// The target of a request with the candidates taken out of the offer in its `join_request`, where there is one. What
/// cannot be read is left for the server to refuse.
pub fn strip_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let stripped = if name == "join_request" { strip_join_request(&value) } else { None };
        out.append_pair(&name, stripped.as_deref().unwrap_or(&value));
    }
    format!("{path}?{}", out.finish())
}

fn strip_join_request(text: &str) -> Option<String> {
    let mut request = unwrap_join_request(text)?;
    let offers = [request.publisher_offer.as_mut(), request.sync_state.as_mut().and_then(|state| state.offer.as_mut())];
    offers.into_iter().flatten().for_each(strip_description);
    let plain = wrapped_join_request::Compression::None.into();
    let wrapped = WrappedJoinRequest { compression: plain, join_request: request.encode_to_vec() };
    Some(URL_SAFE.encode(wrapped.encode_to_vec()))
}

fn unwrap_join_request(text: &str) -> Option<JoinRequest> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    let wrapped = WrappedJoinRequest::decode(bytes.as_slice()).ok()?;
    let mut plain = Vec::new();
    match wrapped.compression() {
        wrapped_join_request::Compression::None => plain = wrapped.join_request,
        wrapped_join_request::Compression::Gzip => {
            let packed = flate2::read::GzDecoder::new(wrapped.join_request.as_slice());
            packed.take(JOIN_REQUEST_MAX_BYTES).read_to_end(&mut plain).ok()?;
        }
    }
    JoinRequest::decode(plain.as_slice()).ok()
}

/// Loopback, any port.
pub const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\nc=IN IP4 10.1.2.3\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
        a=candidate:1 1 tcp 1518280447 127.0.0.1 7881 typ host tcptype passive\r\n\
        a=candidate:2 1 udp 2130706431 10.1.2.3 7882 typ host ufrag abcd\r\n\
        a=candidate:3 1 UDP 2130706175 127.0.0.1 7882 typ host\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=candidate:2 1 udp 2130706431 10.1.2.3 7882 typ host\r\n";

    fn relay() -> SocketAddr {
        "127.0.0.1:5555".parse().unwrap()
    }

    #[test]
    fn a_servers_candidates_lead_to_the_relay_and_nowhere_else() {
        assert_eq!(server_address(SDP), Some("127.0.0.1:7882".parse().unwrap()));
        let told = redirect(SDP, relay());
        let candidates: Vec<&str> = told.lines().filter(|line| line.starts_with("a=candidate")).collect();
        assert_eq!(
            candidates,
            [
                "a=candidate:2 1 udp 2130706431 127.0.0.1 5555 typ host ufrag abcd",
                "a=candidate:2 1 udp 2130706431 127.0.0.1 5555 typ host"
            ]
        );
        assert!(!told.contains("788"), "{told}");
        assert!(told.contains("a=mid:0\r\na=candidate"), "{told}");
    }

    #[test]
    fn a_clients_candidates_are_taken_out() {
        let told = strip(SDP);
        assert!(!told.contains("candidate") && !told.contains("10.1.2.3"), "{told}");
        assert!(told.contains("m=video 9") && told.contains("a=mid:0"));
    }

    #[test]
    fn an_offer_in_the_query_is_stripped_whether_packed_or_not() {
        use std::io::Write as _;
        let offer = SessionDescription { sdp: SDP.into(), ..Default::default() };
        let request =
            JoinRequest { publisher_offer: Some(offer), participant_sid: "PA_1".into(), ..Default::default() };
        let plain = request.encode_to_vec();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&plain).unwrap();
        for (compression, join_request) in [(0, plain), (1, packer.finish().unwrap())] {
            let wrapped = WrappedJoinRequest { compression, join_request }.encode_to_vec();
            let target = format!("/rtc/v1?access_token=a.b-c_d&join_request={}", URL_SAFE.encode(wrapped));
            let stripped = strip_target(&target);
            assert!(stripped.starts_with("/rtc/v1?access_token=a.b-c_d&join_request="), "{stripped}");
            let value = url::form_urlencoded::parse(stripped.split_once('?').unwrap().1.as_bytes())
                .find(|(name, _)| name == "join_request")
                .unwrap()
                .1
                .into_owned();
            let told = unwrap_join_request(&value).unwrap();
            assert_eq!(told.participant_sid, "PA_1");
            assert!(!told.publisher_offer.unwrap().sdp.contains("candidate"));
        }
        assert_eq!(strip_target("/rtc/v1?join_request=nonsense"), "/rtc/v1?join_request=nonsense");
        assert_eq!(strip_target("/rtc"), "/rtc");
    }

    #[test]
    fn trickled_candidates_are_moved_and_others_are_no_way() {
        let init = |candidate: &str| TrickleRequest {
            candidate_init: serde_json::json!({ "candidate": candidate, "sdpMid": "0" }).to_string(),
            ..Default::default()
        };
        let mut udp = init("candidate:1 1 udp 1 127.0.0.1 7882 typ host");
        assert_eq!(trickled_address(&udp), Some("127.0.0.1:7882".parse().unwrap()));
        redirect_trickle(&mut udp, relay());
        assert_eq!(trickled_address(&udp), Some(relay()));
        assert!(udp.candidate_init.contains("sdpMid"));
        for none in ["candidate:1 1 tcp 1 127.0.0.1 7882 typ host tcptype passive", "", "candidate:1 1 udp 1 a.local 1"]
        {
            assert_eq!(trickled_address(&init(none)), None, "{none}");
        }
        assert_eq!(trickled_address(&TrickleRequest::default()), None);
        // The last of a server's is no way around, either.
        let mut last = init("candidate:1 1 tcp 1 ::1 7882 typ host tcptype passive");
        empty_trickle(&mut last);
        assert!(!last.candidate_init.contains("7882") && last.candidate_init.contains("sdpMid"), "{last:?}");
        let mut none = TrickleRequest::default();
        empty_trickle(&mut none);
        assert_eq!(none, TrickleRequest::default());
    }
}
