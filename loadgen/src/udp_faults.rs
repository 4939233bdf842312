//! A bad network for UDP: a proxy that drops and delays datagrams by a seed, so that what goes through it is lost, late and out of order.
//!
//! What always holds: a datagram arrives whole, once, or not at all; each client has a socket of its own towards the target, so the
//! target tells clients apart; which datagrams are hit follows from the seed and their order.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;
/// What the system should keep for a socket: what it drops itself is in no count.
const SOCKET_BYTES: usize = 4 << 20;

/// What is done to datagrams, in each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Share that is dropped.
    pub drop: f64,
    /// Share that is held back for one to `delay_ms_max` milliseconds, so that later ones overtake it.
    pub delay: f64,
    /// See above.
    pub delay_ms_max: u64,
    /// Which ones.
    pub seed: u64,
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Done {
    /// Datagrams that came.
    pub seen: AtomicU64,
    /// Of them, dropped.
    pub dropped: AtomicU64,
    /// Of them, held back.
    pub delayed: AtomicU64,
}

/// A proxy that runs until it is dropped.
pub struct UdpFaults {
    address: SocketAddr,
    done: Arc<Done>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl UdpFaults {
    /// Listens on a free port of 127.0.0.1 and hands on to `target`.
    pub fn start(target: SocketAddr, faults: Faults) -> io::Result<Self> {
        let done = Arc::new(Done::default());
        let (stop, mut stopped) = watch::channel(false);
        let (ready, started) = mpsc::channel();
        let counts = done.clone();
        let thread = std::thread::Builder::new().name("udp-faults".into()).spawn(move || {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let front = runtime.block_on(open())?;
                let address = front.local_addr()?;
                Ok((runtime, front, address))
            });
            match built {
                Ok((runtime, front, address)) => {
                    if ready.send(Ok(address)).is_ok() {
                        LocalSet::new().block_on(&runtime, async {
                            tokio::select! {
                                () = serve(Arc::new(front), target, faults, counts) => {}
                                // Its sender is gone, or says so.
                                _ = stopped.changed() => {}
                            }
                        });
                    }
                }
                // Its starter waits for this, unless it has been killed.
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        let address = started.recv().map_err(|_| io::Error::other("the proxy's thread ended before it listened"))??;
        Ok(Self { address, done, stop, thread: Some(thread) })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was done so far.
    pub fn done(&self) -> &Done {
        &self.done
    }
}

impl Drop for UdpFaults {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

async fn open() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    // The system gives what it allows.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
    Ok(socket)
}

async fn serve(front: Arc<UdpSocket>, target: SocketAddr, faults: Faults, done: Arc<Done>) {
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut dice = fastrand::Rng::with_seed(faults.seed);
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        // A refusal of an earlier datagram is told here; it is the sender's affair.
        let Ok((count, client)) = front.recv_from(&mut datagram).await else { continue };
        let back = match clients.get(&client) {
            Some(back) => back.clone(),
            None => {
                let Ok(back) = open().await else { continue };
                let back = Arc::new(back);
                let rng = fastrand::Rng::with_seed(dice.u64(..));
                tokio::task::spawn_local(answers(front.clone(), back.clone(), client, faults, rng, done.clone()));
                clients.insert(client, back.clone());
                back
            }
        };
        pass(&datagram[..count], &back, target, faults, &mut dice, &done).await;
    }
}

async fn answers(
    front: Arc<UdpSocket>,
    back: Arc<UdpSocket>,
    client: SocketAddr,
    faults: Faults,
    mut dice: fastrand::Rng,
    done: Arc<Done>,
) {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let Ok((count, _)) = back.recv_from(&mut datagram).await else { continue };
        pass(&datagram[..count], &front, client, faults, &mut dice, &done).await;
    }
}

async fn pass(
    datagram: &[u8],
    through: &Arc<UdpSocket>,
    to: SocketAddr,
    faults: Faults,
    dice: &mut fastrand::Rng,
    done: &Done,
) {
    done.seen.fetch_add(1, Ordering::Relaxed);
    if dice.f64() < faults.drop {
        done.dropped.fetch_add(1, Ordering::Relaxed);
    } else if dice.f64() < faults.delay {
        done.delayed.fetch_add(1, Ordering::Relaxed);
        let (datagram, through) = (datagram.to_vec(), through.clone());
        let time = Duration::from_millis(dice.u64(1..=faults.delay_ms_max.max(1)));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(time).await;
            // As below.
            let _ = through.send_to(&datagram, to).await;
        });
    } else {
        // What cannot be delivered is lost, as on any network.
        let _ = through.send_to(datagram, to).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_lost_some_are_late_and_the_rest_arrives() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (target, client) = (open().await.unwrap(), open().await.unwrap());
            let faults = Faults { drop: 0.1, delay: 0.1, delay_ms_max: 2, seed: 7 };
            let proxy = UdpFaults::start(target.local_addr().unwrap(), faults).unwrap();
            let mut came = Vec::new();
            let mut datagram = [0; 8];
            for n in 0..2_000u32 {
                client.send_to(&n.to_be_bytes(), proxy.address()).await.unwrap();
                // In step, so that only the proxy loses anything.
                let wait = target.recv_from(&mut datagram);
                if let Ok(got) = tokio::time::timeout(Duration::from_millis(1), wait).await {
                    let (_, from) = got.unwrap();
                    came.push(u32::from_be_bytes([datagram[0], datagram[1], datagram[2], datagram[3]]));
                    target.send_to(b"answer", from).await.unwrap();
                }
            }
            let seen = proxy.done().seen.load(Ordering::Relaxed);
            let dropped = proxy.done().dropped.load(Ordering::Relaxed);
            assert!((dropped as f64 / seen as f64 - 0.1).abs() < 0.03, "{dropped} of {seen}");
            assert!(came.len() > 1_500 && !came.is_sorted(), "{} came", came.len());
        });
    }
}
