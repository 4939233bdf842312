//! Claims, take-overs, expiry and wills, by the clock of the test.

use super::*;

fn place(index: u32) -> Place {
    Place { core: 0, index, generation: 0 }
}

fn session(client_id: &str, expiry_s: u32) -> Box<Session> {
    let mut session = Session::new(client_id.into(), "name".into(), expiry_s);
    session.position = super::super::session::Position::At(Box::new([0]));
    Box::new(session)
}

fn claim(registry: &Registry, client_id: &str, index: u32) -> Result<Claim, ClaimError> {
    registry.claim(&client_id.into(), &"name".into(), place(index))
}

fn will(delay_s: u32) -> Box<Will> {
    Box::new(Will { delay_s, ..Will::default() })
}

#[test]
fn a_session_is_new_then_online_then_away_then_found() {
    let registry = Registry::new(10, 0);
    assert!(matches!(claim(&registry, "a", 1), Ok(Claim::New)));
    assert!(matches!(claim(&registry, "a", 2), Ok(Claim::Online(at)) if at == place(1)));
    let parked = || Box::new(Parked::new(session("a", 10), None, 0));
    assert!(registry.park(place(1), parked()).is_err(), "the second has it");
    registry.park(place(2), parked()).expect("is its owner");
    assert_eq!(registry.claim(&"a".into(), &"other".into(), place(3)).expect_err("not his"), ClaimError::OtherName);
    assert_eq!(registry.with_away("a", |session| session.expiry_s), Some(10));
    assert!(matches!(claim(&registry, "a", 3), Ok(Claim::Away(found)) if found.expires_at_ms == Some(10_000)));
    assert!(!registry.remove("a", place(2)) && registry.remove("a", place(3)));
    assert!(registry.is_empty() && matches!(claim(&registry, "a", 4), Ok(Claim::New)));
}

#[test]
fn sessions_are_bounded_by_node_and_by_name() {
    let registry = Registry::new(2, 1);
    assert!(claim(&registry, "a", 1).is_ok());
    assert_eq!(claim(&registry, "b", 2).expect_err("one a name"), ClaimError::TooManyOfName);
    assert!(registry.claim(&"b".into(), &"other".into(), place(2)).is_ok());
    assert_eq!(registry.claim(&"c".into(), &"third".into(), place(3)).expect_err("two"), ClaimError::TooMany);
    assert!(registry.remove("a", place(1)));
    assert!(claim(&registry, "b2", 5).is_ok(), "room again, for the node and for the name");
}

#[test]
fn wills_come_due_before_their_session_ends_and_at_its_end_at_the_latest() {
    let registry = Registry::new(10, 0);
    for (client_id, expiry_s, delay_s) in [("soon", 10, 3), ("late", 5, 60), ("never", NEVER_EXPIRES_S, 4)] {
        claim(&registry, client_id, 1).expect("new");
        registry
            .park(place(1), Box::new(Parked::new(session(client_id, expiry_s), Some(will(delay_s)), 0)))
            .expect("ours");
    }
    assert!(registry.take_due(2_999, |_, _| ()).is_empty());
    assert!(matches!(&registry.take_due(4_000, |_, _| ())[..], [Due::Will(_), Due::Will(_)]));
    assert!(matches!(&registry.take_due(5_000, |_, _| ())[..], [Due::Ended(ended)] if ended.will.is_some()));
    assert!(matches!(&registry.take_due(10_000, |_, _| ())[..], [Due::Ended(ended)] if ended.will.is_none()));
    assert!(registry.take_due(i64::MAX, |_, _| ()).is_empty());
    assert_eq!(registry.len(), 1);
}

#[test]
fn who_comes_back_in_time_is_not_ended_by_what_was_due_before() {
    let registry = Registry::new(10, 0);
    claim(&registry, "a", 1).expect("new");
    registry.park(place(1), Box::new(Parked::new(session("a", 1), Some(will(0)), 0))).expect("ours");
    assert!(matches!(claim(&registry, "a", 2), Ok(Claim::Away(_))));
    assert!(registry.take_due(1_000_000, |_, _| ()).is_empty());
}
