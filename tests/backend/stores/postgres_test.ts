/** Postgres passes the suite of its interface, its tables whole and in parts. */

import { after } from "node:test";
import { metaStoreSuite } from "../../conformance/meta_store.ts";
import { metaStoreItemsSuite } from "../../conformance/meta_store_items.ts";
import { openTestDatabases } from "../../harness/postgres_server.ts";

const databases = openTestDatabases();
after(() => databases[Symbol.asyncDispose]());

metaStoreSuite("postgres", () => databases.open());
metaStoreItemsSuite("postgres", () => databases.open());
metaStoreSuite("postgres in parts", () => databases.open({ partitions: 2 }));
