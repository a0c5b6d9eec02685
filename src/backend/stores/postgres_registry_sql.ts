/** Every statement of the Postgres registry; each finds its rows by an index. */

/** One statement an intention; tenant, kind and name come first. */
export const registrySql = {
  begin: "begin",
  commit: "commit",
  rollback: "rollback",

  /** Held until the end of the transaction; what is read behind it is as the last write left it. */
  lockState: `
    select number, audit_number, audit_hash from registry where id = 1 for update`,
  readState: `
    select number, audit_number, audit_hash from registry where id = 1`,
  setState: `
    update registry set number = $1::bigint, audit_number = $2::bigint, audit_hash = $3::text
    where id = 1`,

  findRecords: `
    select found.*
    from unnest($1::text[], $2::text[], $3::text[])
      with ordinality as asked (tenant, kind, name, at)
    cross join lateral (
      select tenant, kind, name, version, ends_at, value from record
      where tenant = asked.tenant and kind = asked.kind and name = asked.name limit 1
    ) as found
    where found.value is not null
    order by asked.at`,
  listRecords: `
    select tenant, kind, name, version, ends_at, value from record
    where tenant = $1::text and kind = $2::text and name > $3::text and value is not null
    order by name limit $4::bigint`,
  /** With the position in the same snapshot: it has come no further than the records. */
  readChanges: `
    select registry.number, found.*
    from registry left join lateral (
      select tenant, kind, name, version, ends_at, value from record
      where version > $1::bigint order by version limit $2::bigint
    ) as found on true
    where registry.id = 1`,
  setRecords: `
    insert into record (tenant, kind, name, version, ends_at, value)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
    on conflict (tenant, kind, name) do update
    set version = excluded.version, ends_at = excluded.ends_at, value = excluded.value`,
  deleteEnded: `
    delete from record using (
      select ctid as place from record
      where ends_at <= $1::bigint order by ends_at limit $2::bigint offset 0
    ) as ended
    where record.ctid = ended.place
    returning 1 as gone`,

  insertEntry: `
    insert into audit (number, at, action, actor, target, detail, hash, write_id)
    values ($1::bigint, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text)`,
  findEntry: `
    select number from audit where number = $1::bigint and write_id = $2::text`,
  readEntries: `
    select number, at, action, actor, target, detail, hash from audit
    where number > $1::bigint order by number limit $2::bigint`,
} as const satisfies Record<string, string>;
