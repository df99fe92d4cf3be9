// SPDX-License-Identifier: GPL-2.0

//! `/dev/hello`: a misc device that greets its readers.

use kernel::{fs, iov::IovIterDest, miscdevice::*, prelude::*, str::CString};
use module_parameters::{loud, number};

module! {
    type: Hello,
    name: "hello",
    authors: ["The umsg authors"],
    description: "A misc device that greets its readers",
    license: "GPL v2",
    params: {
        number: u32 { default: 1, description: "number in the greeting", },
        loud: bool { default: false, description: "greet in capital letters", },
    },
}

/// The loaded module and its device, whose open files have no state of their own.
#[pin_data]
struct Hello {
    /// Removes the device when the module is unloaded. Since Linux 7.3 an open file prevents that.
    #[pin]
    _registration: MiscDeviceRegistration<Hello>,
}

impl kernel::InPlaceModule for Hello {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let options = MiscDeviceOptions { name: c"hello" };
        try_pin_init!(Self { _registration <- MiscDeviceRegistration::register(options) })
    }
}

#[vtable]
impl MiscDevice for Hello {
    type Ptr = ();
    fn open(_file: &fs::File, _registration: &MiscDeviceRegistration<Self>) -> Result {
        Ok(())
    }

    fn read_iter(mut kiocb: fs::Kiocb<'_, ()>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let text = greeting(number.value(), loud.value())?;
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), text.to_bytes())
    }
}

/// Returns the text of the device.
fn greeting(count: u32, capitals: bool) -> Result<CString> {
    let word = if capitals { "WELCOME" } else { "welcome" };
    CString::try_from_fmt(fmt!("{word} {count}\n"))
}

#[kernel::macros::kunit_tests(hello)]
mod tests {
    #[test]
    fn greets() {
        assert!(super::greeting(7, true).is_ok_and(|text| text.to_bytes() == b"WELCOME 7\n"));
    }
}
