//! Foreign bytes as bodies, with every kernel: the cells that simd-json and serde_json see, or none.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use oracle::json::JsonRunner;

thread_local! {
    // Where elements of arrays are wanted, rows with arrays are not read by their shape.
    static RUNNERS: RefCell<[JsonRunner; 2]> = RefCell::new([
        JsonRunner::new(&["a", "b", "temp", "loc.lat", "list[1]", ""]),
        JsonRunner::new(&["a", "b", "temp", "loc.lat", "list"]),
    ]);
}

// Bodies are parted by line feeds, and each comes more than once, so that shapes are learnt and used.
fuzz_target!(|input: &[u8]| {
    let bodies: Vec<&[u8]> = input.split(|byte| *byte == b'\n').take(64).collect();
    RUNNERS.with_borrow_mut(|runners| {
        for runner in runners {
            for _ in 0..3 {
                runner.check(&bodies).unwrap_or_else(|reason| panic!("{reason}"));
            }
        }
    });
});
