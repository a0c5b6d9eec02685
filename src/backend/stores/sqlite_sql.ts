/** Every statement of the SQLite store; each searches by an index, whatever the ledger's length. */

import type { DatabaseSync, StatementSync } from "node:sqlite";

/** One statement an intention. `ledger` is the number of a ledger, but where its names are given. */
export const sql = {
  begin: "begin immediate",
  commit: "commit",
  rollback: "rollback",

  findLedger: `
    select id, head, floor from ledger where tenant = ? and ledger = ?`,
  createLedger: `
    insert into ledger (tenant, ledger, head, floor) values (?, ?, 0, 0)`,
  setHead: `
    update ledger set head = ?2 where id = ?1`,
  raiseFloor: `
    update ledger set head = ?2, floor = ?2 where id = ?1`,

  findSeq: `
    select seq from meta where ledger = ? and cid = ?`,
  insertMeta: `
    insert into meta (ledger, seq, cid, parents, blobs, data) values (?, ?, ?, ?, ?, ?)`,
  deleteMeta: `
    update meta set deleted = ?3
    where ledger = ?1 and cid = ?2 and deleted is null returning seq`,
  readLog: `
    select seq, cid, parents, blobs, data from meta
    where ledger = ? and seq > ? and deleted is null
    order by seq limit ?`,
  insertHead: `
    insert into head (ledger, seq) values (?, ?)`,
  deleteHead: `
    delete from head where ledger = ? and seq = ?`,
  readHeads: `
    select meta.seq, cid, parents, blobs, data
    from head join meta on meta.ledger = head.ledger and meta.seq = head.seq
    where head.ledger = ? order by head.seq`,

  findKey: `
    select 1 from key where ledger = ? and value = ?`,
  insertKey: `
    insert into key (ledger, seq, value) values (?, ?, ?)`,
  readKeys: `
    select value from key where ledger = ? and seq > ? and seq <= ? order by seq, rowid`,

  findBlob: `
    select id, digest, size from blob where ledger = ? and store = ? and cid = ?`,
  readBlob: `
    select digest, size, bytes from blob where ledger = ? and store = ? and cid = ?`,
  insertBlob: `
    insert into blob (ledger, store, cid, digest, size, bytes) values (?, ?, ?, ?, ?, ?)`,
  insertListing: `
    insert into listing (ledger, store, retired, blob, cid, size) values (?, ?, 0, ?, ?, ?)`,
  setRetired: `
    update listing set retired = ?4
    where ledger = ?1 and store = ?2 and retired = 1 - ?4
      and blob = (select id from blob where ledger = ?1 and store = ?2 and cid = ?3)`,
  listBlobs: `
    select store, cid, size, blob from listing
    where ledger = ?1 and store = ?2 and retired = 0 and blob < ?3
    union all
    select store, cid, size, blob from listing
    where ledger = ?1 and store = ?2 and retired = 1 and blob < ?3
    order by blob desc limit ?4`,
  readInventory: `
    select store, cid, size from listing
    where ledger = ? and store = 'car' and retired = 0
    order by blob desc limit ?`,

  insertHeld: `
    insert into held (tenant, ledger, cid, parents, blobs, data) values (?, ?, ?, ?, ?, ?)
    on conflict do nothing`,
  readHeld: `
    select cid, parents, blobs, data from held where tenant = ? and ledger = ? order by item`,
  deleteHeld: `
    delete from held where tenant = ? and ledger = ? and cid = ?`,
  countHeld: `
    select tenant, ledger, count(*) as metas from held where (tenant, ledger) > (?, ?)
    group by tenant, ledger order by tenant, ledger limit ?`,

  findWal: `
    select version, bytes from wal where tenant = ? and ledger = ? and owner = ? and name = ?`,
  setWal: `
    insert into wal (tenant, ledger, owner, name, version, bytes) values (?, ?, ?, ?, ?, ?)
    on conflict do update set version = excluded.version, bytes = excluded.bytes`,
  deleteWal: `
    delete from wal where tenant = ? and ledger = ? and owner = ? and name = ?`,
} as const satisfies Record<string, string>;

/** The statements, prepared once for as long as the database is open. */
export type Statements = { readonly [Name in keyof typeof sql]: StatementSync };

/** Prepares them all. */
export function prepareStatements(database: DatabaseSync): Statements {
  const prepared = Object.entries(sql).map(([name, text]) => [name, database.prepare(text)]);
  // The compiler does not follow names through entries and back.
  return Object.fromEntries(prepared) as Statements;
}
