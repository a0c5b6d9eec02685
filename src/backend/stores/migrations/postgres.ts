/** The schema of the Postgres store: migration n brings a database from version n to n + 1. */

/**
 * All migrations, each to be applied in a transaction of its own. Never edit one that was released:
 * add one.
 *
 * Tenant and ledger lead every key, so that tables may be split by them.
 *
 * @param partitions how many parts each table has when it is made; 0 leaves it whole
 */
export function postgresMigrations(partitions: number): readonly string[] {
  const split = partitions > 0 ? "partition by hash (tenant, ledger)" : "";
  return [
    `
  create table history (
    epoch text not null
  );

  create table secret (
    name text primary key,
    value text not null
  );

  create table ledger (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    head bigint not null,
    floor bigint not null,
    items bigint not null,      -- how many keys and blobs have come
    stamp bigint not null,      -- drawn anew by whatever changes what the ledger holds
    primary key (tenant, ledger)
  ) ${split};

  create table meta (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    seq bigint not null,
    cid text collate "C" not null,
    parents text not null,      -- JSON: [cid, …]
    blobs text not null,        -- JSON: [{ store, cid }, …]
    deleted bigint,             -- seq that its deletion took
    data bytea not null,
    primary key (tenant, ledger, seq)
  ) ${split};
  create unique index meta_cid on meta (tenant, ledger, cid);

  -- Apart from meta, so that a commit which supersedes another never writes its row again.
  create table head (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    seq bigint not null,        -- of a meta that nothing supersedes and nobody has deleted
    primary key (tenant, ledger, seq)
  ) ${split};

  create table key (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    seq bigint not null,        -- the meta with which it reaches readers
    item bigint not null,       -- rises with age
    digest bytea not null,      -- SHA-256 of the value, which may be too long for an index
    value bytea not null,       -- UTF-8; a text cannot hold zero characters
    primary key (tenant, ledger, digest)
  ) ${split};
  create index key_seq on key (tenant, ledger, seq, item);

  create table blob (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    store text collate "C" not null,
    cid text collate "C" not null,
    item bigint not null,       -- rises with age
    digest bytea not null,
    size bigint not null,
    bytes bytea,                -- null: in the blob store
    primary key (tenant, ledger, store, cid)
  ) ${split};

  -- Apart from blob, so that listing and retiring never touch the bytes.
  create table listing (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    store text collate "C" not null,
    retired boolean not null,
    item bigint not null,       -- that of the blob
    cid text collate "C" not null,
    size bigint not null,
    primary key (tenant, ledger, store, retired, item)
  ) ${split};

  create table wal (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    owner bytea not null,       -- UTF-8, as in key
    name text collate "C" not null,
    version bigint not null,
    bytes bytea not null,
    primary key (tenant, ledger, owner, name)
  ) ${split};

  -- Ciphertext does not shrink: compressing it would only cost time.
  alter table blob alter column bytes set storage external;
  ${tables.map((table) => parts(table, partitions)).join("")}
  `,
    `
  -- Metas that wait for their blobs: no reader sees them, and few there are.
  create table held (
    tenant text collate "C" not null,
    ledger text collate "C" not null,
    cid text collate "C" not null,
    parents text not null,      -- as in meta
    blobs text not null,
    data bytea not null,
    item bigint not null,       -- rises with age; metas of one moment may share it
    primary key (tenant, ledger, cid)
  ) ${split};
  create index held_item on held (tenant, ledger, item);
  ${parts("held", partitions)}
  `,
    `
  -- What the token service remembers; few and small, and so never in parts. One write of a record is one
  -- version, and no two share one.
  create table record (
    tenant text collate "C" not null,
    kind text collate "C" not null,
    name text collate "C" not null,
    version bigint not null,
    ends_at bigint,             -- epoch ms; null: never
    value text,                 -- JSON; null: removed
    primary key (tenant, kind, name)
  );
  create unique index record_version on record (version);
  create index record_ends_at on record (ends_at) where ends_at is not null;

  create table audit (
    number bigint primary key,  -- without gaps
    at bigint not null,
    action text not null,
    actor text not null,
    target text not null,
    detail text not null,       -- JSON, its fields in order of their names
    hash text not null,         -- of the line before and this one
    write_id text not null      -- drawn by the write it belongs to, so that it knows itself again
  );

  -- One row, which each write locks until it is kept, so that versions and lines come in the order in
  -- which readers get to see them.
  create table registry (
    id bigint primary key check (id = 1),
    number bigint not null,     -- the highest version that was given
    audit_number bigint not null,
    audit_hash text not null
  ) with (fillfactor = 50);
  insert into registry values (1, 0, 0, '${"0".repeat(64)}');
  `,
  ];
}

const tables = ["ledger", "meta", "head", "key", "blob", "listing", "wal"];
/** Room on each page for the next version of a row that changes with each commit. */
const roomy = new Set(["ledger"]);

function parts(table: string, partitions: number): string {
  const room = roomy.has(table) ? "with (fillfactor = 50)" : "";
  if (partitions === 0) return room && `alter table ${table} set (fillfactor = 50);\n`;
  return Array.from({ length: partitions }, (_, at) => `
  create table ${table}_${at} partition of ${table}
    for values with (modulus ${partitions}, remainder ${at}) ${room};`).join("");
}
