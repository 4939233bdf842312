//! A subscription as the server core sees it: its credit, and which encodings may be sent.

use super::Opened;
use crate::quic::frame::Subscribe;

#[derive(Debug)]
pub(super) struct Subscription {
    pub number: u32,
    /// UNSUBSCRIBE has come.
    pub is_ending: bool,
    is_open: bool,
    /// Bytes that may still be sent; below zero after the frame that used it up.
    credit: i64,
    /// May be sent as stored, all rows meant.
    pub whole: bool,
    /// May be sent as stored, with a mask.
    pub masked: bool,
}

impl Subscription {
    pub fn new(number: u32, wanted: &Subscribe<'_>, credit_max: u64) -> Self {
        Self {
            number,
            is_ending: false,
            is_open: false,
            credit: wanted.credit.min(credit_max) as i64,
            whole: wanted.encodings & 1 != 0,
            masked: wanted.encodings & 3 == 3,
        }
    }

    pub fn open(&mut self, opened: &Opened) {
        self.is_open = true;
        if !opened.may_see_all {
            self.masked = false;
        }
    }

    pub fn add_credit(&mut self, bytes: u64, credit_max: u64) {
        let credit_max = credit_max as i64;
        self.credit = self.credit.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX)).min(credit_max);
    }

    pub fn may_send(&self) -> bool {
        self.is_open && !self.is_ending && self.credit > 0
    }

    pub fn use_credit(&mut self, bytes: usize) {
        self.credit -= bytes as i64;
    }
}
