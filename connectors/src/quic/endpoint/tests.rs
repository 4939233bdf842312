//! Real clients of quinn against real sockets: who gets in, who does not, and who stays.

mod early;
mod flood;
mod life;
