/** A page with one Fireproof device, which the test reaches as `globalThis.device`. */

import { DeviceCore } from "../harness/device_core.ts";

const device = new DeviceCore(() => {});
globalThis.addEventListener("unhandledrejection", ({ reason }) => {
  device.addFault(`unhandled rejection: ${reason}`);
});
globalThis.addEventListener("error", ({ message }) => device.addFault(`error: ${message}`));
Object.assign(globalThis, { device });
