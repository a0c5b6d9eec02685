/** Every statement of the SQLite store; each searches by an index, whatever the ledger's length. */

import type { DatabaseSync, StatementSync } from "node:sqlite";

/**
 * One statement an intention; tenant and ledger come first. `store` is compared with `+?` where it is
 * a parameter: with a bare `?` SQLite asks whether its value makes the partial index `blob_in_use`
 * usable, and so plans the statement anew each time it is bound.
 */
export const sql = {
  begin: "begin immediate",
  commit: "commit",
  rollback: "rollback",

  findLedger: `
    select head, floor from ledger where tenant = ? and ledger = ?`,
  setHead: `
    insert into ledger (tenant, ledger, head, floor) values (?, ?, ?, 0)
    on conflict do update set head = excluded.head`,
  raiseFloor: `
    update ledger set head = ?3, floor = ?3 where tenant = ?1 and ledger = ?2`,

  findSeq: `
    select seq from meta where tenant = ? and ledger = ? and cid = ?`,
  insertMeta: `
    insert into meta (tenant, ledger, seq, cid, parents, blobs, data) values (?, ?, ?, ?, ?, ?, ?)`,
  supersede: `
    update meta set superseded = ?4
    where tenant = ?1 and ledger = ?2 and cid = ?3 and superseded is null`,
  deleteMeta: `
    update meta set deleted = ?4
    where tenant = ?1 and ledger = ?2 and cid = ?3 and deleted is null`,
  readLog: `
    select seq, cid, parents, blobs, data from meta
    where tenant = ? and ledger = ? and seq > ? and deleted is null
    order by seq limit ?`,
  readHeads: `
    select seq, cid, parents, blobs, data from meta indexed by meta_head
    where tenant = ? and ledger = ? and superseded is null and deleted is null
    order by seq`,

  findKey: `
    select 1 from key where tenant = ? and ledger = ? and value = ?`,
  insertKey: `
    insert into key (tenant, ledger, seq, value) values (?, ?, ?, ?)`,
  readKeys: `
    select value from key
    where tenant = ? and ledger = ? and seq > ? and seq <= ?
    order by seq, rowid`,

  findBlob: `
    select id, digest, size from blob where tenant = ? and ledger = ? and store = +? and cid = ?`,
  insertBlob: `
    insert into blob (tenant, ledger, store, cid, digest, size) values (?, ?, ?, ?, ?, ?)`,
  setRetired: `
    update blob set retired = ?5
    where tenant = ?1 and ledger = ?2 and store = +?3 and cid = ?4 and retired <> ?5`,
  readInventory: `
    select store, cid, size from blob indexed by blob_in_use
    where tenant = ? and ledger = ? and store = 'car' and retired = 0
    order by id desc limit ?`,
  insertContent: `
    insert into content (blob, bytes) values (?, ?)`,
  findContent: `
    select bytes from content where blob = ?`,

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
