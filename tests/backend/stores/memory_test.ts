/** The stores in memory pass the suites of their interfaces. */

import {
  createMemoryBlobStore,
  createMemoryMetaStore,
} from "../../../src/backend/stores/memory.ts";
import { blobStoreSuite } from "../../conformance/blob_store.ts";
import { metaStoreSuite } from "../../conformance/meta_store.ts";
import { metaStoreItemsSuite } from "../../conformance/meta_store_items.ts";

metaStoreSuite("memory", () => Promise.resolve(createMemoryMetaStore()));
metaStoreItemsSuite("memory", () => Promise.resolve(createMemoryMetaStore()));
blobStoreSuite("memory", () => Promise.resolve(createMemoryBlobStore()));
