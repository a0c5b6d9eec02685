/** The ledgers of the SQLite store, those in use in memory. */

import { splitLedger } from "../../protocol/model.ts";
import type { LedgerId, LogBounds } from "./meta_store.ts";
import { integerOf } from "./rows.ts";
import type { SqliteIndex } from "./sqlite_index.ts";
import type { Statements } from "./sqlite_sql.ts";

/** A ledger, and the number that stands for it in every other table. */
export interface LedgerRow extends LogBounds {
  readonly id: number;
}

/** Most ledgers that are held in memory; beyond, those found first are looked up again. */
const maxLedgers = 10_000;

/** Finds ledgers. Memory is right as long as it is told of all that changes: the file has one process. */
export class SqliteLedgers {
  readonly #sql: Statements;
  readonly #index: SqliteIndex;
  readonly #rows = new Map<LedgerId, LedgerRow>();

  constructor(sql: Statements, index: SqliteIndex) {
    this.#sql = sql;
    this.#index = index;
  }

  find(ledger: LedgerId): LedgerRow | undefined {
    const known = this.#rows.get(ledger);
    if (known) return known;
    const row = this.#sql.findLedger.get(...splitLedger(ledger));
    if (!row) return undefined;
    const id = integerOf(row, "id");
    // The row tells of metas that the indexes know, and of deletions.
    const head = Math.max(integerOf(row, "head"), this.#index.lastSeq(id));
    return this.#remember(ledger, { id, head, floor: integerOf(row, "floor") });
  }

  create(ledger: LedgerId): LedgerRow {
    const { lastInsertRowid } = this.#sql.createLedger.run(...splitLedger(ledger));
    return this.#remember(ledger, { id: Number(lastInsertRowid), head: 0, floor: 0 });
  }

  /** Takes note of new metas: the index holds them, and the row follows when they are folded. */
  setHead(ledger: LedgerId, row: LedgerRow, head: number): void {
    if (head !== row.head) this.#remember(ledger, { ...row, head });
  }

  /** Moves head and floor past a deletion. */
  raiseFloor(ledger: LedgerId, row: LedgerRow, floor: number): void {
    this.#sql.raiseFloor.run(row.id, floor);
    this.#remember(ledger, { ...row, head: floor, floor });
  }

  /** A transaction is undone: nobody knows which of these it had changed. */
  rolledBack(): void {
    this.#rows.clear();
  }

  #remember(ledger: LedgerId, row: LedgerRow): LedgerRow {
    this.#rows.set(ledger, row);
    if (this.#rows.size > maxLedgers) {
      for (const first of this.#rows.keys()) {
        this.#rows.delete(first);
        break;
      }
    }
    return row;
  }
}
