//! Which device a setting means on this machine.

use network::DeviceArg;
use stage::job::Failure;
use train::Device;

use crate::common::failure;

/// Looks for a device; `setting` as in `train.device`.
pub fn find(setting: &str) -> Device {
    let wanted = setting.parse::<DeviceArg>().map_err(Failure::of_machine);
    match wanted.and_then(|wanted| network::init(&wanted, 0).map_err(|error| failure(&error.into()))) {
        Ok(device) => Device::Found(device.to_string()),
        Err(Failure { reason, .. }) => Device::Failed(reason),
    }
}
