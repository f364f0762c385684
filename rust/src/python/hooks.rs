//! Which of a handler's hooks its class has replaced.
//!
//! Most handlers override two or three of the many methods that `RequestHandler` has for that, and
//! calling the others, which do nothing or what the core does itself, is most of what a small
//! request would cost. What a class overrides is looked up once and kept under the version that
//! CPython gives a type: changing the class, or one of its bases, by assignment too, gives it
//! another version. So a program that replaces a method at run time is noticed at once.

use std::cell::Cell;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// The names of the hooks, in the order of their bits.
const NAMES: [&str; 14] = [
    "clear",
    "set_default_headers",
    "initialize",
    "_execute",
    "write",
    "finish",
    "compute_etag",
    "set_etag_header",
    "check_etag_header",
    "_log",
    "decode_argument",
    "SUPPORTED_METHODS",
    "_auto_finish",
    "_stream_request_body",
];

/// Places for classes that are remembered. Two that share one cost each other a look-up.
const PLACES: usize = 256;

/// A set of hooks.
#[derive(Clone, Copy)]
pub struct Hooks(u16);

impl Hooks {
    pub const CLEAR: Self = Self(1);
    pub const SET_DEFAULT_HEADERS: Self = Self(1 << 1);
    pub const INITIALIZE: Self = Self(1 << 2);
    pub const EXECUTE: Self = Self(1 << 3);
    pub const WRITE: Self = Self(1 << 4);
    pub const FINISH: Self = Self(1 << 5);
    pub const ETAG: Self = Self(7 << 6);
    pub const LOG: Self = Self(1 << 9);
    pub const DECODE_ARGUMENT: Self = Self(1 << 10);
    pub const SUPPORTED_METHODS: Self = Self(1 << 11);
    pub const AUTO_FINISH: Self = Self(1 << 12);
    pub const STREAM_REQUEST_BODY: Self = Self(1 << 13);

    /// Whether any of these is in the set.
    pub const fn any(self, hooks: Self) -> bool {
        self.0 & hooks.0 != 0
    }
}

/// The class whose hooks count as not replaced, and what they are.
static DEFAULTS: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();

thread_local! {
    /// The version of a class, and its hooks. A version stands for its class: it is not given twice.
    static KNOWN: [Cell<(u32, Hooks)>; PLACES] = const { [const { Cell::new((0, Hooks(0))) }; PLACES] };
}

/// Say which class the hooks belong to. Called once, when `RequestHandler` has been defined.
#[pyfunction]
fn set_handler_class(handler_class: &Bound<'_, PyType>) -> PyResult<()> {
    let defaults = NAMES
        .iter()
        .map(|name| Ok(handler_class.getattr(*name)?.unbind()));
    DEFAULTS
        .set(handler_class.py(), defaults.collect::<PyResult<_>>()?)
        .map_err(|_| PyRuntimeError::new_err("there is a handler class already"))
}

/// The hooks that this class has replaced.
pub fn replaced(class: &Bound<'_, PyType>) -> PyResult<Hooks> {
    let current = version(class);
    let (known, hooks) = KNOWN.with(|places| places[current as usize % PLACES].get());
    if known == current && current != 0 {
        return Ok(hooks);
    }
    look_up(class)
}

#[cold]
fn look_up(class: &Bound<'_, PyType>) -> PyResult<Hooks> {
    let Some(defaults) = DEFAULTS.get(class.py()) else {
        return Err(PyRuntimeError::new_err("import typhoon.web first"));
    };
    let mut hooks = 0;
    for (bit, (name, default)) in NAMES.iter().zip(defaults).enumerate() {
        if !class.getattr(*name)?.is(default) {
            hooks |= 1 << bit;
        }
    }
    // The look-ups have given the type a version if it had none.
    let current = version(class);
    KNOWN.with(|places| places[current as usize % PLACES].set((current, Hooks(hooks))));
    Ok(Hooks(hooks))
}

/// CPython's version of the type: another number after each change to it or to a base, never given
/// twice in a process. 0 if it has none at the moment.
#[allow(unsafe_code)]
fn version(class: &Bound<'_, PyType>) -> u32 {
    // SAFETY: `class` is a live type object, and we are attached to the interpreter.
    unsafe { (*class.as_type_ptr()).tp_version_tag }
}

/// A number that changes whenever the class or one of its bases does. 0 if there is none.
#[pyfunction]
fn class_version(class: &Bound<'_, PyType>) -> u32 {
    version(class)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(class_version, module)?)?;
    module.add_function(wrap_pyfunction!(set_handler_class, module)?)
}
