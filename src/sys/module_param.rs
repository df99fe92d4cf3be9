// SPDX-License-Identifier: GPL-2.0

//! The boundary to the kernel's module parameters: typed, shown and set through sysfs.
//!
//! C header: `include/linux/moduleparam.h`; what calls the operations here is `kernel/params.c`.
//! The parameters of the kernel crate are integers that sysfs does not show, and a load that gives
//! one twice fails. When it offers the same, this file goes.
//!
//! [`parameters!`] is the safe side. It declares each parameter once; from that follow what
//! `modinfo` says, the file in `/sys/module/NAME/parameters`, parsing and errors.
//!
//! # When a value is bad
//!
//! At load, `set` takes it down and says nothing, so that a later good value of the same parameter
//! wins, and the module's `init` can refuse the load with one line that says what is allowed
//! ([`Parameter::with_value`]). A write through sysfs fails and changes nothing.
//!
//! # Locking
//!
//! The C side holds the module's parameter lock (`kernel_param_lock()`) around `set` and `get`, and
//! [`Parameter::with_value`] takes it. The values are statics without a destructor, because sysfs
//! shows the parameters before `init` and until after the module's exit.

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

/// Declares the parameters of the module. Each becomes a static [`Parameter`] of its name.
///
/// The values there are: `range` with two bounds, or `words` that say it. The default and the
/// bounds are written as a user would write them. A parameter with `change` can be written through
/// sysfs when the module is loaded: the function gets the value and what was written, with the
/// parameter lock held, and changes the value or fails.
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
        #[allow(non_upper_case_globals, reason = "it is named as users know it")]
        pub(crate) static $name: $crate::sys::module_param::Parameter<$type> =
            $crate::sys::module_param::Parameter::new(
                stringify!($name),
                $crate::sys::module_param::parameters!(@allowed $kind $values),
                $default,
                $crate::sys::module_param::parameters!(@bounds $kind $values),
                $crate::sys::module_param::parameters!(@change $($change)?),
            );

        #[allow(unsafe_code, reason = "sections that the kernel reads, with what it expects there")]
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

/// A parameter of the module. Made by [`parameters!`] alone.
pub(crate) struct Parameter<T: ParamValue> {
    name: &'static str,
    allowed: &'static str,
    default: &'static str,
    range: Option<(&'static str, &'static str)>,
    change: Option<Change<T>>,
    state: UnsafeCell<State<T>>,
}

/// What a write through sysfs does to the value.
type Change<T> = fn(&mut T, &[u8]) -> Result;

/// What was given.
struct State<T> {
    /// The value, if `status` says so.
    value: T,
    /// Where a new value is tried, so that a bad one changes nothing. Not on the stack: a long text
    /// is too large for it.
    scratch: T,
    status: Status,
    /// `init` has taken the value: from now on, a new one is applied at once.
    adopted: bool,
}

enum Status {
    /// Nothing was given: the default holds.
    Unset,
    Set,
    /// This was given, and cannot be used. Only until `init` refuses the load.
    Invalid(AsciiStr<GIVEN_MAX>),
}

/// How much of a bad value is shown, in bytes.
const GIVEN_MAX: usize = 64;

// SAFETY: `state` is only touched with the parameter lock held; the rest does not change.
unsafe impl<T: ParamValue + Send> Sync for Parameter<T> {}

impl<T: ParamValue> Parameter<T> {
    /// For [`parameters!`].
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

    /// For [`parameters!`]: what tells the C side of this parameter. `name` ends in a zero.
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
        // Every one may come without a value: what is said of it then is for `set`.
        flags: bindings::KERNEL_PARAM_OPS_FL_NOARG,
        set: Some(Self::set),
        get: Some(Self::get),
        free: None,
    };

    /// Runs `f` with the value, which nothing changes meanwhile.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the load gave a value that cannot be used; the kernel log has a line about it.
    pub(crate) fn with_value<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let module = THIS_MODULE;
        // SAFETY: `module` is this module, or null where it is built in, which the lock knows.
        unsafe { bindings::kernel_param_lock(module) };
        // SAFETY: The lock is held until the end of this function.
        let state = unsafe { &mut *self.state.get() };
        state.adopted = true;
        let result = match &state.status {
            Status::Set => Ok(f(&state.value)),
            Status::Unset if state.value.parse_from(self.default.as_bytes()) => Ok(f(&state.value)),
            Status::Unset => Err(EINVAL),
            Status::Invalid(given) => {
                pr_err!(
                    "{}={}: must be {}\n",
                    self.name,
                    given.as_str(),
                    self.allowed
                );
                Err(EINVAL)
            }
        };
        // SAFETY: It was locked above.
        unsafe { bindings::kernel_param_unlock(module) };
        result
    }

    /// The value. Errors as [`Parameter::with_value`].
    pub(crate) fn value(&self) -> Result<T>
    where
        T: Copy,
    {
        self.with_value(|value| *value)
    }

    /// # Safety
    ///
    /// `param` must be the [`Parameter::entry`] of a parameter of type `T`.
    unsafe fn from_entry<'a>(param: *const bindings::kernel_param) -> &'a Self {
        // SAFETY: `param` is valid, and `arg` the member of the union that `entry` set.
        let arg = unsafe { (*param).__bindgen_anon_1.arg };
        // SAFETY: It points to a static `Parameter<T>`.
        unsafe { &*arg.cast::<Self>() }
    }

    /// C counterpart: `param_set_charp()` and its like.
    ///
    /// # Safety
    ///
    /// Called by the C side: `param` as [`Parameter::from_entry`], the parameter lock is held, and
    /// `val` is null or a string.
    unsafe extern "C" fn set(val: *const c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By the contract.
        let this = unsafe { Self::from_entry(param) };
        let given = if val.is_null() {
            T::NO_ARG_VALUE.unwrap_or("")
        } else {
            // SAFETY: It is a string that lives during this call.
            let given = unsafe { CStr::from_char_ptr(val) };
            // What is not UTF-8 is no value of any kind; show something of it.
            given.to_str().unwrap_or("?")
        };
        let given = given.as_bytes().trim_ascii();
        // SAFETY: The lock is held.
        let state = unsafe { &mut *this.state.get() };
        if state.adopted {
            // Only parameters with `change` can be written by then, and it has a value.
            let changed = this
                .change
                .map_or(Err(EPERM), |change| change(&mut state.value, given));
            return match changed {
                Ok(()) => {
                    state.status = Status::Set;
                    0
                }
                Err(error) => error.to_errno(),
            };
        }
        // Sysfs shows the parameter before `init`. A change then must not make the load fail.
        if given
            .first()
            .is_some_and(|first| T::CHANGE_PREFIXES.contains(first))
        {
            return EINVAL.to_errno();
        }
        let good = state.scratch.parse_from(given)
            && this
                .range
                .is_none_or(|(min, max)| state.scratch.is_within(min, max));
        if good {
            core::mem::swap(&mut state.value, &mut state.scratch);
            state.status = Status::Set;
        } else {
            state.status = Status::Invalid(AsciiStr::truncate_from(given));
        }
        0
    }

    /// C counterpart: `param_get_charp()` and its like.
    ///
    /// # Safety
    ///
    /// Called by the C side: `param` as [`Parameter::from_entry`], the parameter lock is held, and
    /// `buffer` is a page.
    unsafe extern "C" fn get(buffer: *mut c_char, param: *const bindings::kernel_param) -> c_int {
        // SAFETY: By the contract.
        let this = unsafe { Self::from_entry(param) };
        // SAFETY: The lock is held.
        let state = unsafe { &*this.state.get() };
        // SAFETY: The buffer is a page, which `kernel/params.c` has for this call alone, and any
        // bytes are valid in it (sysfs hands out zeroed ones).
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

/// A page that is written from its beginning.
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
