/** The schema of the SQLite store: migration n brings a database from version n to n + 1. */

/** Applied in order, each in a transaction of its own. Never edit one that was released: add one. */
export const sqliteMigrations: readonly string[] = [
  `
  create table history (
    epoch text not null
  ) strict;

  create table ledger (
    id integer primary key,
    tenant text not null,
    ledger text not null,
    head integer not null,    -- as of the metas that are indexed, and of deletions
    floor integer not null,
    unique (tenant, ledger)
  ) strict;

  -- Rows of meta and blob are appended. What finds them by anything but their number are tables of
  -- its own, which hold those up to these marks, and may hold some of the others.
  create table indexed (
    kind text primary key,    -- meta, blob
    up_to integer not null    -- id
  ) strict, without rowid;
  insert into indexed values ('meta', 0), ('blob', 0);

  create table meta (
    id integer primary key,   -- rises with age
    ledger integer not null,
    seq integer not null,
    cid text not null,
    parents text not null,    -- JSON: [cid, …]
    blobs text not null,      -- JSON: [{ store, cid }, …]
    deleted integer,          -- seq that its deletion took
    data blob not null
  ) strict;

  create table meta_seq (
    ledger integer not null,
    seq integer not null,
    meta integer not null,
    primary key (ledger, seq)
  ) strict, without rowid;

  create table meta_cid (
    ledger integer not null,
    cid text not null,
    seq integer not null,
    meta integer not null,
    primary key (ledger, cid)
  ) strict, without rowid;

  -- Apart from meta, so that a commit which supersedes another never writes its row again.
  create table head (
    ledger integer not null,
    seq integer not null,     -- of a meta that nothing supersedes and nobody has deleted
    meta integer not null,
    primary key (ledger, seq)
  ) strict, without rowid;

  create table key (
    ledger integer not null,
    seq integer not null,     -- the meta with which it reaches readers
    value blob not null,      -- UTF-8; not every runtime reads text behind a zero character
    unique (ledger, value)
  ) strict;
  create index key_seq on key (ledger, seq);

  create table blob (
    id integer primary key,   -- rises with age
    ledger integer not null,
    store text not null,
    cid text not null,
    digest blob not null,
    size integer not null,
    bytes blob                -- null: in the blob store
  ) strict;

  create table blob_cid (
    ledger integer not null,
    store text not null,
    cid text not null,
    blob integer not null,
    primary key (ledger, store, cid)
  ) strict, without rowid;

  -- Apart from blob, so that listing and retiring never touch the bytes. A blob that is retired before
  -- it is indexed stands here at once.
  create table listing (
    ledger integer not null,
    store text not null,
    retired integer not null,
    blob integer not null,
    cid text not null,
    size integer not null,
    primary key (ledger, store, retired, blob)
  ) strict, without rowid;

  create table wal (
    tenant text not null,
    ledger text not null,
    owner blob not null,      -- UTF-8, as in key
    name text not null,
    version integer not null,
    bytes blob not null,
    primary key (tenant, ledger, owner, name)
  ) strict;
  `,
  `
  -- Metas that wait for their blobs: no reader sees them, and few there are.
  create table held (
    item integer primary key, -- rises with age
    tenant text not null,
    ledger text not null,
    cid text not null,
    parents text not null,    -- as in meta
    blobs text not null,
    data blob not null,
    unique (tenant, ledger, cid)
  ) strict;
  create index held_item on held (tenant, ledger, item);
  `,
  `
  -- What the token service remembers. One write of a record is one version, and no two share one.
  create table record (
    version integer primary key,
    tenant text not null,
    kind text not null,
    name text not null,
    ends_at integer,          -- epoch ms; null: never
    value text,               -- JSON; null: removed
    unique (tenant, kind, name)
  ) strict;
  create index record_ends_at on record (ends_at) where ends_at is not null;

  create table audit (
    number integer primary key, -- without gaps
    at integer not null,
    action text not null,
    actor text not null,
    target text not null,
    detail text not null,     -- JSON, its fields in order of their names
    hash text not null        -- of the line before and this one
  ) strict;

  -- One row, which each write changes: where records and lines have got to.
  create table registry (
    id integer primary key check (id = 1),
    number integer not null,  -- the highest version that was given
    audit_number integer not null,
    audit_hash text not null
  ) strict;
  insert into registry values (1, 0, 0, '${"0".repeat(64)}');
  `,
];
