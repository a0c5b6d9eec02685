/** The registry in memory passes the suite of its interface. */

import { createMemoryRegistry } from "../../../src/backend/stores/memory_registry.ts";
import { registrySuite } from "../../conformance/registry.ts";

registrySuite("memory", () => {
  const registry = createMemoryRegistry();
  return Promise.resolve({
    together: true,
    open: () => Promise.resolve(registry),
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  });
});
