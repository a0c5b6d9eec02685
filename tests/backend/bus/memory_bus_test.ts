/** The bus in memory passes the suite of its interface. */

import { createMemoryBusNetwork } from "../../../src/backend/bus/memory_bus.ts";
import { busSuite } from "../../conformance/bus.ts";
import { utf8 } from "../../conformance/fixtures.ts";

busSuite("memory", () => {
  const network = createMemoryBusNetwork();
  return Promise.resolve({
    join: () => Promise.resolve(network.join()),
    inject: (payload) => Promise.resolve(network.inject(utf8(payload))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
