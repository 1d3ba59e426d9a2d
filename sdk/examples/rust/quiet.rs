//! quiet.rs - a scheduler in Rust, without a crate: the node that uses the least of its memory.
//!
//! The structs are those of keelson/{abi,call,host,plugin}.h and iface/scheduler.h, as far as they are needed. They only ever grow at their ends.
#![no_std]
#![allow(non_camel_case_types, dead_code)]

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[repr(C)]
struct kl_bytes {
    at: *const c_char,
    len: usize,
}

#[repr(C)]
struct kl_pod_view {
    size: u32,
    pod: kl_bytes,
    mcpu: i64,
    memory: i64,
}

#[repr(C)]
struct kl_node_view {
    size: u32,
    name: *const c_char,
    node: kl_bytes,
    mcpu: i64,
    memory: i64,
    pods: i64,
    used_mcpu: i64,
    used_memory: i64,
    used_pods: i64,
    matching_pods: u32,
}

/// Only handed on: never looked into.
enum kl_host {}
enum kl_call {}

#[repr(C)]
struct kl_life {
    open: Option<unsafe extern "C" fn(*const kl_host, *const c_void, *mut *mut c_void, *mut kl_call) -> c_int>,
    reconfigure: Option<unsafe extern "C" fn(*mut c_void, *const c_void, *mut kl_call) -> c_int>,
    probe: Option<unsafe extern "C" fn(*mut c_void, *mut kl_call) -> c_int>,
    close: Option<unsafe extern "C" fn(*mut c_void)>,
}

type Begin = unsafe extern "C" fn(*mut c_void, *mut kl_call, *const kl_pod_view, *mut *mut c_void) -> c_int;
type Ask = unsafe extern "C" fn(*mut c_void, *mut kl_call, *mut c_void, *const kl_pod_view, *const kl_node_view) -> c_int;

#[repr(C)]
struct kl_scheduler {
    size: u32,
    life: kl_life,
    begin: Option<Begin>,
    fit: Option<Ask>,
    score: Option<Ask>,
    end: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

#[repr(C)]
struct kl_provider {
    iface: *const c_char,
    name: *const c_char,
    rank: i32,
    table: *const kl_scheduler,
}

#[repr(C)]
struct Array {
    at: *const c_void,
    n: u32,
    stride: u32,
}

#[repr(C)]
pub struct kl_plugin {
    size: u32,
    abi_major: u32,
    id: *const c_char,
    version: *const c_char,
    summary: *const c_char,
    license: *const c_char,
    needs: Array,
    providers: Array,
    conf: Array,
    conf_size: usize,
}

// Constant data, read by any thread.
unsafe impl Sync for kl_scheduler {}
unsafe impl Sync for kl_provider {}
unsafe impl Sync for kl_plugin {}

unsafe extern "C" fn open(_: *const kl_host, _: *const c_void, _: *mut *mut c_void, _: *mut kl_call) -> c_int {
    0
}

/// 0 to 100: the share of the node's memory that is free behind this pod.
unsafe extern "C" fn score(_: *mut c_void, _: *mut kl_call, _: *mut c_void, pod: *const kl_pod_view, node: *const kl_node_view) -> c_int {
    let (pod, node) = (&*pod, &*node);
    if node.memory <= 0 {
        return 0;
    }
    let free = node.memory.saturating_sub(node.used_memory).saturating_sub(pod.memory).max(0);
    (free as i128 * 100 / node.memory as i128).min(100) as c_int
}

static TABLE: kl_scheduler = kl_scheduler {
    size: core::mem::size_of::<kl_scheduler>() as u32,
    life: kl_life { open: Some(open), reconfigure: None, probe: None, close: None },
    begin: None,
    fit: None,
    score: Some(score),
    end: None,
};

static PROVIDES: [kl_provider; 1] = [kl_provider {
    iface: c"keelson.scheduler/0".as_ptr(),
    name: c"quiet".as_ptr(),
    rank: 0,
    table: &TABLE,
}];

#[no_mangle]
#[allow(non_upper_case_globals)]
pub static kl_plugin: kl_plugin = kl_plugin {
    size: core::mem::size_of::<kl_plugin>() as u32,
    abi_major: 1,
    id: c"org.example.quiet".as_ptr(),
    version: c"0.1.0".as_ptr(),
    summary: c"the node with the most free memory".as_ptr(),
    license: c"MIT".as_ptr(),
    needs: Array { at: null(), n: 0, stride: 16 },
    providers: Array { at: &PROVIDES as *const _ as *const c_void, n: 1, stride: core::mem::size_of::<kl_provider>() as u32 },
    conf: Array { at: null(), n: 0, stride: 64 },
    conf_size: 0,
};

/// What the host reads before it runs any code of this file: an ELF note, name "keelson", type 1.
const NOTE: &[u8] = b"abi=1\nid=org.example.quiet\nversion=0.1.0\nprovides=keelson.scheduler/0:quiet\nneeds=\n\0";

#[repr(C, align(4))]
pub struct Note {
    namesz: u32,
    descsz: u32,
    kind: u32,
    name: [u8; 8],
    desc: [u8; NOTE.len()],
}

const fn note_text() -> [u8; NOTE.len()] {
    let mut text = [0u8; NOTE.len()];
    let mut i = 0;
    while i < NOTE.len() {
        text[i] = NOTE[i];
        i += 1;
    }
    text
}

#[used]
#[link_section = ".note.keelson"]
static KL_NOTE: Note = Note { namesz: 8, descsz: NOTE.len() as u32, kind: 1, name: *b"keelson\0", desc: note_text() };
