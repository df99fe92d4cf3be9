// SPDX-License-Identifier: GPL-2.0

//! Typed module parameters that sysfs shows and can change.
//!
//! C header: `include/linux/moduleparam.h`; `kernel/params.c` calls the operations below. The
//! parameters of the kernel crate are integers that sysfs does not show, and a load that sets one
//! twice fails.
//!
//! [`parameters!`] is the safe interface. It declares each parameter once: from the declaration
//! follow the output of `modinfo`, the file in `/sys/module/NAME/parameters`, the parsing and the
//! errors.
//!
//! # Invalid values
//!
//! During load, `set` records an invalid value and returns 0. A later valid value replaces it;
//! otherwise `init` fails and logs one line with the allowed values ([`Parameter::with_value`]). A
//! write through sysfs after that fails and changes nothing.
//!
//! # Locking
//!
//! The parameter lock of the module (`kernel_param_lock()`) protects the values. `kernel/params.c`
//! holds it during `set` and `get`, and [`Parameter::with_value`] takes it. The values are statics
//! without a destructor, because sysfs shows the parameters before `init` and until after the
//! module's exit.

use core::{
    cell::UnsafeCell,
    fmt::{
        self,
        Write, //
    },
    slice,
};

use kernel::{
    bindings,
    error::code::EINVAL,
    prelude::*, //
};

use crate::{
    pure::value::{
        AsciiStr,
        ParamValue, //
    },
    sys::this_module::THIS_MODULE, //
};

/// Declares the parameters of the module. Each becomes a static [`Parameter`] with its name.
///
/// The allowed values are a `range` with two bounds, or described by `words`. The default and the
/// bounds are texts as users write them. A parameter with `change` can be written through sysfs
/// after `init` has read it. The function gets the value and the written text, with the parameter
/// lock held, and changes the value or fails.
macro_rules! parameters {
    (@allowed range ($min:literal, $max:literal)) => { concat!("from ", $min, " to ", $max) };
    (@allowed words ($words:expr)) => { $words };
    (@bounds range ($min:literal, $max:literal)) => { Some(($min, $max)) };
    (@bounds words ($words:expr)) => { None };
    (@change) => { None };
    (@change $change:path) => { Some($change) };

    ($($name:ident: $type:ty {
        description: $description:literal,
        default: $default:literal,
        $kind:ident: $values:tt,
        $(change: $change:path,)?
    })*) => { $(
        #[allow(non_upper_case_globals, reason = "the static has the name of the parameter")]
        pub(crate) static $name: $crate::sys::module_param::Parameter<$type> =
            $crate::sys::module_param::Parameter::new(
                stringify!($name),
                $crate::sys::module_param::parameters!(@allowed $kind $values),
                $default,
                $crate::sys::module_param::parameters!(@bounds $kind $values),
                $crate::sys::module_param::parameters!(@change $($change)?),
            );

        #[allow(unsafe_code, reason = "the kernel expects these statics in these sections")]
        const _: () = {
            use $crate::pure::value::{join, joined_len, ParamValue};

            const PREFIX: &str = if cfg!(MODULE) { "" } else { "umsg." };
            const NAME: &[&str] = &[PREFIX, stringify!($name), "\0"];
            const PARM: &[&str] = &[
                PREFIX, "parm=", stringify!($name), ":", $description, ": ",
                $crate::sys::module_param::parameters!(@allowed $kind $values), " (default: ",
                if $default.is_empty() { "none" } else { $default }, ")\0",
            ];
            const PARMTYPE: &[&str] =
                &[PREFIX, "parmtype=", stringify!($name), ":", <$type as ParamValue>::TYPE, "\0"];

            static NAME_BYTES: [u8; joined_len(NAME)] = join(NAME);

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARM_BYTES: [u8; joined_len(PARM)] = join(PARM);

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static PARMTYPE_BYTES: [u8; joined_len(PARMTYPE)] = join(PARMTYPE);

            #[link_section = "__param"]
            #[used(compiler)]
            static ENTRY: ::kernel::module_param::KernelParam =
                ::kernel::module_param::KernelParam::new($name.entry(&NAME_BYTES));
        };
    )* };
}
pub(crate) use parameters;

/// A parameter of the module. Declared only by [`parameters!`].
pub(crate) struct Parameter<T: ParamValue> {
    name: &'static str,
    allowed: &'static str,
    default: &'static str,
    range: Option<(&'static str, &'static str)>,
    change: Option<Change<T>>,
    state: UnsafeCell<State<T>>,
}

/// Handles a write through sysfs after `init`: changes the value or fails.
type Change<T> = fn(&mut T, &[u8]) -> Result;

/// The state of a parameter, protected by the parameter lock.
struct State<T> {
    /// The value, if `status` is `Set` or `init` has read it.
    value: T,
    /// A new value is parsed here, so that an invalid one does not change `value`. Not on the
    /// stack, because a long text is too large for it.
    scratch: T,
    status: Status,
    /// Whether `init` has read the value. If so, `set` calls `change`.
    adopted: bool,
}

enum Status {
    /// No value was given: the default applies.
    Unset,
    Set,
    /// This invalid value was given. `init` will fail.
    Invalid(AsciiStr<SHOWN_MAX>),
}

/// Maximum number of bytes of an invalid value in the log line.
const SHOWN_MAX: usize = 64;

// SAFETY: `state` is accessed only with the parameter lock held. The other fields are immutable.
unsafe impl<T: ParamValue + Send> Sync for Parameter<T> {}

impl<T: ParamValue> Parameter<T> {
    /// Returns the value. Fails like [`Parameter::with_value`].
    pub(crate) fn value(&self) -> Result<T>
    where
        T: Copy,
    {
        self.with_value(|value| *value)
    }

    /// Calls `f` with the value while the parameter lock is held.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the load set an invalid value. One line in the kernel log describes it.
    pub(crate) fn with_value<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let module = THIS_MODULE;
        // SAFETY: `module` is this module, or null if it is built in, which `kernel_param_lock()`
        // accepts.
        unsafe { bindings::kernel_param_lock(module) };
        // SAFETY: The parameter lock is held until after the last use of `state`, so that this is
        // the only reference.
        let state = unsafe { &mut *self.state.get() };
        state.adopted = true;
        let result = match &state.status {
            Status::Set => Ok(f(&state.value)),
            Status::Unset if state.value.parse_from(self.default.as_bytes()) => Ok(f(&state.value)),
            Status::Unset => Err(EINVAL),
            Status::Invalid(text) => {
                pr_err!(
                    "{}={}: must be {}{}\n",
                    self.name,
                    text.as_str(),
                    self.allowed,
                    T::FORM
                );
                Err(EINVAL)
            }
        };
        // SAFETY: The lock of the same module was taken above.
        unsafe { bindings::kernel_param_unlock(module) };
        result
    }

    /// Creates a parameter. For [`parameters!`].
    pub(crate) const fn new(
        name: &'static str,
        allowed: &'static str,
        default: &'static str,
        range: Option<(&'static str, &'static str)>,
        change: Option<Change<T>>,
    ) -> Self {
        Self {
            name,
            allowed,
            default,
            range,
            change,
            state: UnsafeCell::new(State {
                value: T::INIT,
                scratch: T::INIT,
                status: Status::Unset,
                adopted: false,
            }),
        }
    }

    /// Returns the `struct kernel_param` of the parameter. `name` ends in a zero byte. For
    /// [`parameters!`].
    pub(crate) const fn entry(&'static self, name: &'static [u8]) -> bindings::kernel_param {
        bindings::kernel_param {
            name: name.as_ptr().cast(),
            mod_: THIS_MODULE,
            ops: Self::OPERATIONS,
            perm: if self.change.is_some() { 0o644 } else { 0o444 },
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                arg: core::ptr::from_ref(self).cast_mut().cast(),
            },
        }
    }

    const OPERATIONS: &'static bindings::kernel_param_ops = &bindings::kernel_param_ops {
        // All parameters can be given without `=`; `set` checks whether the type allows it.
        flags: bindings::KERNEL_PARAM_OPS_FL_NOARG,
        set: Some(Self::set),
        get: Some(Self::get),
        free: None,
    };

    /// Returns the parameter of a `struct kernel_param`.
    ///
    /// # Safety
    ///
    /// `param` must be the [`Parameter::entry`] of a parameter of type `T`.
    unsafe fn from_entry<'a>(param: *const bindings::kernel_param) -> &'a Self {
        // SAFETY: The caller guarantees that `param` is valid and from `entry`, which sets the
        // member `arg` of the union.
        let arg = unsafe { (*param).__bindgen_anon_1.arg };
        // SAFETY: `entry` sets `arg` to a pointer to a static `Parameter<T>`.
        unsafe { &*arg.cast::<Self>() }
    }

    /// Sets the parameter. C counterpart: `param_set_charp()`.
    ///
    /// # Safety
    ///
    /// - `param` must be the [`Parameter::entry`] of a parameter of type `T`.
    /// - `val` must be null or a C string that is valid during this call.
    /// - The parameter lock must be held.
    unsafe extern "C" fn set(val: *const c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: The caller guarantees that `param` is the entry of a `Parameter<T>`.
        let this = unsafe { Self::from_entry(param) };
        let text = if val.is_null() {
            T::NO_ARG_VALUE.unwrap_or("")
        } else {
            // SAFETY: The caller guarantees that `val` is a C string that is valid during this
            // call.
            let text = unsafe { CStr::from_char_ptr(val) };
            // A text that is not UTF-8 is invalid for all types. The log line shows `?`.
            text.to_str().unwrap_or("?")
        };
        let text = text.as_bytes().trim_ascii();
        // SAFETY: The caller guarantees that the parameter lock is held.
        let state = unsafe { &mut *this.state.get() };
        if state.adopted {
            // Only parameters with `change` are writable in sysfs.
            let changed = this
                .change
                .map_or(Err(EPERM), |change| change(&mut state.value, text));
            return match changed {
                Ok(()) => {
                    state.status = Status::Set;
                    0
                }
                Err(error) => error.to_errno(),
            };
        }
        // Sysfs makes the parameter writable before `init`. A change at that time is rejected here,
        // and must not make the load fail as an invalid value.
        if text
            .first()
            .is_some_and(|first| T::CHANGE_PREFIXES.contains(first))
        {
            return EINVAL.to_errno();
        }
        let is_valid = state.scratch.parse_from(text)
            && this
                .range
                .is_none_or(|(min, max)| state.scratch.is_within(min, max));
        if is_valid {
            core::mem::swap(&mut state.value, &mut state.scratch);
            state.status = Status::Set;
        } else {
            state.status = Status::Invalid(AsciiStr::truncate_from(text));
        }
        0
    }

    /// Shows the parameter. C counterpart: `param_get_charp()`.
    ///
    /// # Safety
    ///
    /// - `param` must be the [`Parameter::entry`] of a parameter of type `T`.
    /// - `buffer` must be a page that is valid for writes during this call.
    /// - The parameter lock must be held.
    unsafe extern "C" fn get(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: The caller guarantees that `param` is the entry of a `Parameter<T>`.
        let this = unsafe { Self::from_entry(param) };
        // SAFETY: The caller guarantees that the parameter lock is held.
        let state = unsafe { &*this.state.get() };
        // SAFETY:
        // - The caller guarantees that `buffer` is a page that is valid for writes.
        // - `kernel/params.c` passes a buffer that no other code uses during this call, and that
        //   sysfs has initialised with zeros.
        let page = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), bindings::PAGE_SIZE) };
        let mut page = Page { page, len: 0 };
        let shown = match state.status {
            Status::Set => state.value.show(&mut page),
            Status::Unset | Status::Invalid(_) => page.write_str(this.default),
        };
        match shown.and_then(|()| page.write_char('\n')) {
            Ok(()) => page.len as c_int,
            Err(fmt::Error) => EINVAL.to_errno(),
        }
    }
}

/// A page as a text output.
struct Page<'a> {
    page: &'a mut [u8],
    len: usize,
}

impl Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let dest = self.page.get_mut(self.len..end).ok_or(fmt::Error)?;
        dest.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
