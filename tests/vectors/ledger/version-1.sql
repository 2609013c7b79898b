BEGIN TRANSACTION;
CREATE TABLE account (
	account_id INTEGER NOT NULL, 
	dataset_id TEXT NOT NULL, 
	block TEXT NOT NULL, 
	cap_nano_rho INTEGER NOT NULL, 
	cap_delta_units INTEGER NOT NULL, 
	spent_nano_rho INTEGER NOT NULL, 
	spent_delta_units INTEGER NOT NULL, 
	PRIMARY KEY (account_id), 
	UNIQUE (dataset_id, block), 
	CHECK (spent_nano_rho BETWEEN 0 AND cap_nano_rho), 
	CHECK (spent_delta_units BETWEEN 0 AND cap_delta_units), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
)
 STRICT

;
INSERT INTO "account" VALUES(1,'north/cases','',88152688,0,1077,0);
INSERT INTO "account" VALUES(2,'north/cases','2021',88152688,0,1077,0);
INSERT INTO "account" VALUES(3,'north/cases','2022',88152688,0,0,0);
INSERT INTO "account" VALUES(4,'south/cases','',88152688,0,77,0);
INSERT INTO "account" VALUES(5,'south/cases','2021',88152688,0,77,0);
INSERT INTO "account" VALUES(6,'south/cases','2022',88152688,0,0,0);
CREATE TABLE charge (
	charge_id TEXT NOT NULL, 
	idempotency_key TEXT NOT NULL, 
	request_sha256 TEXT NOT NULL, 
	nano_rho INTEGER NOT NULL CHECK (nano_rho > 0), 
	delta_units INTEGER NOT NULL CHECK (delta_units >= 0), 
	purpose TEXT NOT NULL, 
	charged_at TEXT NOT NULL, 
	draws INTEGER NOT NULL CHECK (draws BETWEEN 0 AND 2), 
	result_sha256 TEXT, 
	shown INTEGER NOT NULL CHECK (shown IN (0, 1)), 
	PRIMARY KEY (charge_id), 
	CHECK (result_sha256 IS NULL OR draws > 0), 
	CHECK (shown = 0 OR result_sha256 IS NOT NULL), 
	UNIQUE (idempotency_key)
)
 STRICT

;
INSERT INTO "charge" VALUES('d249f2e0cf0b01e77fa77b49f4cc36b1','request-0','4673de5018843d2d1dfe9b3bf51f78fed391fb2774d7191d10a70c7314b3db84',1000,0,'synthetic_release','2026-11-22T22:53:40Z',1,'abababababababababababababababababababababababababababababababab',1);
INSERT INTO "charge" VALUES('1a6988ccd388d26ba5c50dc4acd0b34b','request-1','47794e924b62807c4194a565cb42ee0da99d7671a46503238e07d1bd375db4b4',77,0,'synthetic_release','2026-11-22T22:53:40Z',0,NULL,0);
CREATE TABLE charge_line (
	charge_id TEXT NOT NULL, 
	account_id INTEGER NOT NULL, 
	PRIMARY KEY (charge_id, account_id), 
	FOREIGN KEY(charge_id) REFERENCES charge (charge_id), 
	FOREIGN KEY(account_id) REFERENCES account (account_id)
)
 STRICT

;
INSERT INTO "charge_line" VALUES('d249f2e0cf0b01e77fa77b49f4cc36b1',1);
INSERT INTO "charge_line" VALUES('d249f2e0cf0b01e77fa77b49f4cc36b1',2);
INSERT INTO "charge_line" VALUES('1a6988ccd388d26ba5c50dc4acd0b34b',1);
INSERT INTO "charge_line" VALUES('1a6988ccd388d26ba5c50dc4acd0b34b',2);
INSERT INTO "charge_line" VALUES('1a6988ccd388d26ba5c50dc4acd0b34b',4);
INSERT INTO "charge_line" VALUES('1a6988ccd388d26ba5c50dc4acd0b34b',5);
CREATE TABLE dataset (
	dataset_id TEXT NOT NULL, 
	epsilon TEXT NOT NULL, 
	delta_units INTEGER NOT NULL, 
	additive_delta_units INTEGER NOT NULL, 
	cap_nano_rho INTEGER NOT NULL CHECK (cap_nano_rho > 0), 
	opened_at TEXT NOT NULL, 
	PRIMARY KEY (dataset_id)
)
 STRICT

;
INSERT INTO "dataset" VALUES('north/cases','2',1000000000,0,88152688,'2026-11-22T22:53:40Z');
INSERT INTO "dataset" VALUES('south/cases','2',1000000000,0,88152688,'2026-11-22T22:53:40Z');
CREATE TABLE ledger (
	id INTEGER NOT NULL CHECK (id = 1), 
	ledger_id TEXT NOT NULL, 
	epsilon TEXT NOT NULL, 
	delta_units INTEGER NOT NULL, 
	additive_delta_units INTEGER NOT NULL, 
	max_tokens_per_person INTEGER, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "ledger" VALUES(1,'f07c4509d1530e477c575722dd53893a','2',1000000000,0,2,'2026-11-22T22:53:40Z');
CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'a ledger row is never deleted'); END;
CREATE TRIGGER dataset_stays BEFORE DELETE ON dataset BEGIN SELECT RAISE(ABORT, 'a dataset row is never deleted'); END;
CREATE TRIGGER account_stays BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'a account row is never deleted'); END;
CREATE TRIGGER charge_stays BEFORE DELETE ON charge BEGIN SELECT RAISE(ABORT, 'a charge row is never deleted'); END;
CREATE TRIGGER charge_line_stays BEFORE DELETE ON charge_line BEGIN SELECT RAISE(ABORT, 'a charge_line row is never deleted'); END;
CREATE TRIGGER ledger_fixed BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'a ledger row never changes'); END;
CREATE TRIGGER dataset_fixed BEFORE UPDATE ON dataset BEGIN SELECT RAISE(ABORT, 'a dataset row never changes'); END;
CREATE TRIGGER charge_line_fixed BEFORE UPDATE ON charge_line BEGIN SELECT RAISE(ABORT, 'a charge_line row never changes'); END;
CREATE TRIGGER account_never_falls BEFORE UPDATE ON account WHEN NEW.spent_nano_rho < OLD.spent_nano_rho OR NEW.spent_delta_units < OLD.spent_delta_units OR NEW.account_id IS NOT OLD.account_id OR NEW.dataset_id IS NOT OLD.dataset_id OR NEW.block IS NOT OLD.block OR NEW.cap_nano_rho IS NOT OLD.cap_nano_rho OR NEW.cap_delta_units IS NOT OLD.cap_delta_units BEGIN SELECT RAISE(ABORT, 'a balance never falls and a cap never changes'); END;
CREATE TRIGGER charge_only_advances BEFORE UPDATE ON charge WHEN NEW.draws < OLD.draws OR NEW.draws > OLD.draws + 1 OR NEW.shown < OLD.shown OR (OLD.result_sha256 IS NOT NULL AND NEW.draws <> OLD.draws) OR (OLD.result_sha256 IS NOT NULL AND NEW.result_sha256 IS NOT OLD.result_sha256 AND (OLD.shown = 1 OR NEW.result_sha256 IS NOT NULL)) OR NEW.charge_id IS NOT OLD.charge_id OR NEW.idempotency_key IS NOT OLD.idempotency_key OR NEW.request_sha256 IS NOT OLD.request_sha256 OR NEW.nano_rho IS NOT OLD.nano_rho OR NEW.delta_units IS NOT OLD.delta_units OR NEW.purpose IS NOT OLD.purpose OR NEW.charged_at IS NOT OLD.charged_at BEGIN SELECT RAISE(ABORT, 'a charge only advances'); END;
COMMIT;
PRAGMA application_id = 1128811569;
PRAGMA user_version = 1;
