/** What an attachment knows of the server, and when it forgets. */

import { test } from "node:test";
import { assert, assertEquals } from "#assert";
import { Knowledge } from "../../src/gateway/knowledge.ts";

const car = { store: "car", cid: "bcar" } as const;

test("a head is covered when all of its cars are", () => {
  const knowledge = new Knowledge();
  knowledge.heads.set("one", { cars: ["a", "b"], events: [] });
  knowledge.heads.set("other", { cars: ["c"], events: [] });
  assertEquals(knowledge.coveredBy(new Set(["a", "c"])), ["other"]);
  assertEquals(knowledge.coveredBy(new Set(["a", "b", "c"])), ["one", "other"]);
  assertEquals(knowledge.coveredBy(new Set()), []);
});

test("what was stored in one history is unknown in the next", () => {
  const knowledge = new Knowledge();
  knowledge.enterEpoch("first");
  knowledge.addStored([car]);
  knowledge.addKeys(["key"]);
  knowledge.heads.set("head", { cars: ["a"], events: [] });
  knowledge.enterEpoch("first");
  assert(knowledge.isStored(car));
  assertEquals(knowledge.newKeys(["key", "other"]), ["other"]);
  knowledge.enterEpoch("second");
  assert(!knowledge.isStored(car));
  assertEquals(knowledge.newKeys(["key"]), ["key"]);
  assertEquals(knowledge.heads.size, 0);
});

test("a car and a file of one name are two blobs, and each can be forgotten", () => {
  const knowledge = new Knowledge();
  knowledge.addStored([car]);
  assert(!knowledge.isStored({ store: "file", cid: car.cid }));
  knowledge.forgetStored([car]);
  assert(!knowledge.isStored(car));
});

test("its memory of blobs is bounded, and forgets rather than grows", () => {
  const knowledge = new Knowledge();
  const refs = Array.from(
    { length: 50_000 },
    (_, at) => ({ store: "car" as const, cid: `b${at}` }),
  );
  knowledge.addStored(refs);
  assert(refs.filter((ref) => knowledge.isStored(ref)).length <= 20_000);
  assert(knowledge.isStored({ store: "car", cid: "b49999" }));
});
