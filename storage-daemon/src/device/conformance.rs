//! What every device must do, run by each device's tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use super::{Device, Listed};

/// Runs all of it. `open` opens the same, at first empty device each time; only one is open at once.
pub fn run(open: &dyn Fn() -> Arc<dyn Device>) {
    creates_lists_and_deletes(open);
    appended_bytes_are_read_back_after_reopening(open);
    reads_stop_at_the_end(open);
    tails_are_truncated_and_set_aside(open);
}

fn creates_lists_and_deletes(open: &dyn Fn() -> Arc<dyn Device>) {
    let device = open();
    assert_eq!(device.list().unwrap(), []);
    device.create("b-2").unwrap();
    device.create("a-1").unwrap().append(0, &[b"xy"]).unwrap();
    assert!(
        device.create("a-1").is_err(),
        "create never takes over a volume"
    );
    let listed = [("a-1", 2), ("b-2", 0)].map(|(n, bytes)| Listed {
        name: n.into(),
        bytes,
    });
    assert_eq!(device.list().unwrap(), listed);
    device.delete("a-1").unwrap();
    device.delete("b-2").unwrap();
    assert!(device.delete("b-2").unwrap_err().is_absent());
    assert!(device.open("a-1").err().unwrap().is_absent());
    assert!(device.space().unwrap().total > 0);
}

fn appended_bytes_are_read_back_after_reopening(open: &dyn Fn() -> Arc<dyn Device>) {
    let device = open();
    let volume = device.create("c-3").unwrap();
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
    volume.append(0, &[b"head", &big]).unwrap();
    volume.append(3_000_004, &[b"end"]).unwrap();
    volume.sync().unwrap();
    drop((volume, device));
    let volume = open().open("c-3").unwrap();
    assert_eq!(volume.bytes().unwrap(), 3_000_007);
    let mut back = vec![0; 3_000_007];
    assert_eq!(volume.read(0, &mut back).unwrap(), back.len());
    assert_eq!(back, [b"head", big.as_slice(), b"end"].concat());
    drop(volume);
    open().delete("c-3").unwrap();
}

fn reads_stop_at_the_end(open: &dyn Fn() -> Arc<dyn Device>) {
    let device = open();
    let volume = device.create("d-4").unwrap();
    volume.append(0, &[b"0123456789"]).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(volume.read(6, &mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"6789");
    assert_eq!(volume.read(10, &mut buffer).unwrap(), 0);
    assert_eq!(volume.read(99, &mut buffer).unwrap(), 0);
    device.delete("d-4").unwrap();
}

fn tails_are_truncated_and_set_aside(open: &dyn Fn() -> Arc<dyn Device>) {
    let device = open();
    let volume = device.create("e-5").unwrap();
    volume.append(0, &[b"0123456789"]).unwrap();
    volume.truncate(8).unwrap();
    assert_eq!(volume.bytes().unwrap(), 8);
    drop(volume);
    device.set_aside("e-5", 5).unwrap();
    let volume = device.open("e-5").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(volume.read(0, &mut buffer).unwrap(), 5);
    assert_eq!(device.list().unwrap().len(), 1, "a keepsake is no volume");
    device.delete("e-5").unwrap();
}
