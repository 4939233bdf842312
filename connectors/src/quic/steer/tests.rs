//! Ids, inboxes, and the sorting of what a socket received; connections that really change their port are tried in the tests of
//! `endpoint`.

use std::io::IoSliceMut;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use quinn::udp::RecvMeta;
use quinn::{AsyncUdpSocket, ConnectionIdGenerator, Runtime, TokioRuntime};

use super::inbox::{INBOX_BYTES_MAX, Piece};
use super::*;
use crate::quic::endpoint::QuicStats;

const TO: std::net::SocketAddr =
    std::net::SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9));

/// A datagram with a short header for an id of this core.
fn datagram(steering: &Arc<Steering>, core: u8, fill: u8, length: usize) -> Vec<u8> {
    let id = steering.core_ids(core).generate_cid();
    let mut bytes = vec![fill; length];
    bytes[0] = 0x40;
    bytes[1..1 + ID_BYTES].copy_from_slice(&id);
    bytes
}

#[test]
fn every_core_finds_its_number_in_its_ids_and_strangers_cannot_make_one() {
    let secret = QuicSecret::random().unwrap();
    for cores in [1, 2, 3, 7, 64, 255, 256] {
        let steering = Steering::new(&secret, cores);
        for core in 0..cores {
            let mut ids = steering.core_ids(core as u8);
            for _ in 0..20 {
                let id = ids.generate_cid();
                assert_eq!((id.len(), ids.cid_len()), (ID_BYTES, ID_BYTES));
                assert!(ids.validate(&id).is_ok());
                let mut short = vec![0x40];
                short.extend_from_slice(&id);
                assert_eq!(usize::from(steering.ids.core_in(&short, 0)), core, "of {cores}");
                for at in 0..ID_BYTES {
                    let mut forged = id;
                    forged[at] ^= 1;
                    assert!(ids.validate(&forged).is_err(), "byte {at} can be changed");
                }
            }
        }
    }
    let other = Steering::new(&QuicSecret::random().unwrap(), 2);
    assert!(other.core_ids(0).validate(&Steering::new(&secret, 2).core_ids(0).generate_cid()).is_err());
}

#[test]
fn a_core_does_not_show_itself_by_one_byte() {
    let steering = Steering::new(&QuicSecret::random().unwrap(), 4);
    let mut ids = steering.core_ids(1);
    let first: std::collections::BTreeSet<u8> = (0..2000).map(|_| ids.generate_cid()[0]).collect();
    assert_eq!(first.len(), 64);
}

#[test]
fn a_handshake_is_steered_only_by_an_id_of_ours() {
    let steering = Steering::new(&QuicSecret::random().unwrap(), 2);
    let long = |id: &[u8]| {
        let mut bytes = vec![0xC0, 0, 0, 0, 1, id.len() as u8];
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&[0; 20]);
        bytes
    };
    let ours = steering.core_ids(1).generate_cid();
    assert_eq!(steering.ids.core_in(&long(&ours), 0), 1);
    let mut theirs = ours.to_vec();
    theirs[7] ^= 0xFF;
    assert_eq!(steering.ids.core_in(&long(&theirs), 0), 0);
    assert_eq!(steering.ids.core_in(&long(&[9; 20]), 0), 0);
    for cut in 0..14 {
        assert_eq!(steering.ids.core_in(&long(&ours)[..cut], 0), 0);
    }
}

#[test]
fn an_inbox_is_bounded_and_empties_in_order() {
    let inbox = Inbox::default();
    let piece = |fill: u8| Piece { from: TO, to: None, ecn: None, stride: 1000, bytes: vec![fill; 60_000].into() };
    let mut count = 0;
    while inbox.put(piece(count)) {
        count += 1;
    }
    assert_eq!(usize::from(count), INBOX_BYTES_MAX / 60_128);
    let mut room = vec![vec![0; 64_000]; 3];
    let mut metas = [RecvMeta::default(); 3];
    let mut seen = Vec::new();
    while !inbox.is_empty() {
        let mut buffers: Vec<IoSliceMut<'_>> = room.iter_mut().map(|room| IoSliceMut::new(room)).collect();
        let taken = inbox.take(&mut buffers, &mut metas);
        for (meta, buffer) in metas.iter().zip(&buffers).take(taken) {
            assert_eq!((meta.len, meta.stride, meta.addr), (60_000, 1000, TO));
            seen.push(buffer[0]);
        }
    }
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
    assert!(inbox.put(piece(0)));
}

proptest! {
    /// Whatever train of datagrams comes: each one ends up with its core, once, in order, and forged ones nowhere.
    #[test]
    fn a_train_is_taken_apart_without_loss(
        train in prop::collection::vec((0u8..3, any::<bool>(), any::<u8>()), 1..40),
        last_length in 20usize..=60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let steering = Steering::new(&QuicSecret::random().unwrap(), 3);
        let stats = Arc::<QuicStats>::default();
        let below = TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let socket = SteeredSocket::new(below.clone(), steering.clone(), 0, stats.clone());
        let (mut bytes, mut expected) = (Vec::new(), [const { Vec::new() }; 3]);
        let mut forged = 0;
        for (at, (core, is_forged, fill)) in train.iter().enumerate() {
            let length = if at + 1 == train.len() { last_length } else { 60 };
            let mut one = datagram(&steering, *core, *fill, length);
            if *is_forged {
                one[8] ^= 0x5A;
            }
            bytes.extend_from_slice(&one);
            // A core's own datagrams are quinn's to check.
            if *is_forged && *core != 0 {
                forged += 1;
            } else {
                expected[usize::from(*core)].extend_from_slice(&one);
            }
        }
        let mut meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (TO, bytes.len(), 60);
        socket.sort(&mut bytes, &mut meta);
        prop_assert_eq!(&bytes[..meta.len], &expected[0][..]);
        prop_assert_eq!(stats.steer_forged.load(Ordering::Relaxed), forged);
        for core in 1..3u8 {
            let other = SteeredSocket::new(below.clone(), steering.clone(), core, Arc::default());
            let mut got = Vec::new();
            let mut room = vec![0; 4096];
            let mut metas = [RecvMeta::default()];
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(taken) = other.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut room)], &mut metas) {
                prop_assert_eq!(taken.unwrap(), 1);
                got.extend_from_slice(&room[..metas[0].len]);
            }
            prop_assert_eq!(&got, &expected[usize::from(core)]);
        }
    }
}
