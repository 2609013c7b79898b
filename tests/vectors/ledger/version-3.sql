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
CREATE TABLE alembic_version (
	version_num TEXT NOT NULL, 
	PRIMARY KEY (version_num)
)
 STRICT

;
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE allowance (
	allowance_id INTEGER NOT NULL, 
	analyst TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	limit_nano_rho INTEGER CHECK (limit_nano_rho >= 0), 
	spent_nano_rho INTEGER NOT NULL CHECK (spent_nano_rho >= 0), 
	PRIMARY KEY (allowance_id), 
	UNIQUE (analyst, dataset_id), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
)
 STRICT

;
CREATE TABLE anchoring (
	id INTEGER NOT NULL CHECK (id = 1), 
	place TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	PRIMARY KEY (id)
)
 STRICT

;
INSERT INTO "anchoring" VALUES(1,'ledger.sqlite.anchor','f3c346e96c84cc4664c7df74a229ede4d64f1848682c2267005d54e393c9c426');
CREATE TABLE answer (
	answer_id INTEGER NOT NULL, 
	plan_sha256 TEXT NOT NULL, 
	snapshot TEXT NOT NULL, 
	mechanism TEXT NOT NULL, 
	noise_scale INTEGER NOT NULL CHECK (noise_scale > 0), 
	document TEXT NOT NULL, 
	document_sha256 TEXT NOT NULL, 
	stored_at INTEGER NOT NULL, 
	visible_at INTEGER NOT NULL, 
	PRIMARY KEY (answer_id), 
	UNIQUE (plan_sha256, snapshot, mechanism, noise_scale)
)
 STRICT

;
CREATE TABLE budget_raise (
	request_sha256 TEXT NOT NULL, 
	dataset_id TEXT, 
	epsilon TEXT NOT NULL, 
	cap_nano_rho INTEGER NOT NULL CHECK (cap_nano_rho > 0), 
	reason TEXT NOT NULL, 
	approvers TEXT NOT NULL, 
	raised_at TEXT NOT NULL, 
	PRIMARY KEY (request_sha256), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
)
 STRICT

;
CREATE TABLE ceiling (
	account_id INTEGER NOT NULL, 
	nano_rho INTEGER NOT NULL, 
	delta_units INTEGER NOT NULL, 
	PRIMARY KEY (account_id), 
	FOREIGN KEY(account_id) REFERENCES account (account_id)
)
 STRICT

;
INSERT INTO "ceiling" VALUES(1,5509543,0);
INSERT INTO "ceiling" VALUES(2,5509543,0);
INSERT INTO "ceiling" VALUES(4,5509543,0);
INSERT INTO "ceiling" VALUES(5,5509543,0);
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
	analyst TEXT, 
	PRIMARY KEY (charge_id), 
	CHECK (result_sha256 IS NULL OR draws > 0), 
	CHECK (shown = 0 OR result_sha256 IS NOT NULL), 
	UNIQUE (idempotency_key)
)
 STRICT

;
INSERT INTO "charge" VALUES('f9c0b9643a91eebb32023719007c4242','request-0','4673de5018843d2d1dfe9b3bf51f78fed391fb2774d7191d10a70c7314b3db84',1000,0,'synthetic_release','2026-11-23T01:42:44Z',1,'abababababababababababababababababababababababababababababababab',1,NULL);
INSERT INTO "charge" VALUES('252096347b385f5f8cd77df25ce2640e','request-1','47794e924b62807c4194a565cb42ee0da99d7671a46503238e07d1bd375db4b4',77,0,'synthetic_release','2026-11-23T01:42:44Z',0,NULL,0,NULL);
CREATE TABLE charge_line (
	charge_id TEXT NOT NULL, 
	account_id INTEGER NOT NULL, 
	PRIMARY KEY (charge_id, account_id), 
	FOREIGN KEY(charge_id) REFERENCES charge (charge_id), 
	FOREIGN KEY(account_id) REFERENCES account (account_id)
)
 STRICT

;
INSERT INTO "charge_line" VALUES('f9c0b9643a91eebb32023719007c4242',1);
INSERT INTO "charge_line" VALUES('f9c0b9643a91eebb32023719007c4242',2);
INSERT INTO "charge_line" VALUES('252096347b385f5f8cd77df25ce2640e',1);
INSERT INTO "charge_line" VALUES('252096347b385f5f8cd77df25ce2640e',2);
INSERT INTO "charge_line" VALUES('252096347b385f5f8cd77df25ce2640e',4);
INSERT INTO "charge_line" VALUES('252096347b385f5f8cd77df25ce2640e',5);
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
INSERT INTO "dataset" VALUES('north/cases','2',1000000000,0,88152688,'2026-11-23T01:42:44Z');
INSERT INTO "dataset" VALUES('south/cases','2',1000000000,0,88152688,'2026-11-23T01:42:44Z');
CREATE TABLE decision (
	decision_id INTEGER NOT NULL, 
	charge_id TEXT NOT NULL, 
	kind TEXT NOT NULL CHECK (kind IN ('published', 'withheld', 'report_opened')), 
	decided_at TEXT NOT NULL, 
	PRIMARY KEY (decision_id), 
	UNIQUE (charge_id, kind), 
	FOREIGN KEY(charge_id) REFERENCES charge (charge_id)
)
 STRICT

;
CREATE TABLE entry (
	position INTEGER NOT NULL CHECK (position > 0), 
	subject TEXT NOT NULL, 
	chain TEXT NOT NULL, 
	PRIMARY KEY (position)
)
 STRICT

;
INSERT INTO "entry" VALUES(1,'open north/cases','0db602f40bd1d9fda8a5b3168cc57b2165daec73db7c00a6f36964987e65d375');
INSERT INTO "entry" VALUES(2,'open south/cases','e4aceb37ef024e682662028f26b389ec243f8ca7fc60aaf1715ab44b08c4c526');
INSERT INTO "entry" VALUES(3,'charge f9c0b9643a91eebb32023719007c4242','f7592b41da86fbec1c0a48e9a19c9541af50814271098de6d7962147e036f346');
INSERT INTO "entry" VALUES(4,'draw f9c0b9643a91eebb32023719007c4242','c6224e8c024ba634eda434489f4251a1681e89e831763159e95896a73072d533');
INSERT INTO "entry" VALUES(5,'reveal f9c0b9643a91eebb32023719007c4242 abababababababababababababababababababababababababababababababab','f55e0774d34bc2184b17c2cda4f72233713c5df9495c27329386441a6f4c9a3c');
INSERT INTO "entry" VALUES(6,'charge 252096347b385f5f8cd77df25ce2640e','a542b698661512cba479a990b96b238baea74587f257b76132ffd1d63e1edcae');
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
INSERT INTO "ledger" VALUES(1,'b0998197a746766e612fe006edc64351','2',1000000000,0,2,'2026-11-23T01:42:44Z');
CREATE TABLE odometer_cap (
	id INTEGER NOT NULL CHECK (id = 1), 
	epsilon TEXT NOT NULL, 
	cap_nano_rho INTEGER NOT NULL CHECK (cap_nano_rho > 0), 
	PRIMARY KEY (id)
)
 STRICT

;
CREATE TABLE resume (
	resume_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	resumed_at TEXT NOT NULL, 
	PRIMARY KEY (resume_id)
)
 STRICT

;
CREATE TABLE resume_line (
	resume_id TEXT NOT NULL, 
	account_id INTEGER NOT NULL, 
	nano_rho INTEGER NOT NULL CHECK (nano_rho >= 0), 
	delta_units INTEGER NOT NULL CHECK (delta_units >= 0), 
	PRIMARY KEY (resume_id, account_id), 
	FOREIGN KEY(resume_id) REFERENCES resume (resume_id), 
	FOREIGN KEY(account_id) REFERENCES account (account_id)
)
 STRICT

;
CREATE TABLE unbounded (
	request_sha256 TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	since TEXT NOT NULL, 
	PRIMARY KEY (request_sha256), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (dataset_id)
)
 STRICT

;
CREATE INDEX entry_of_subject ON entry (subject);
CREATE INDEX answer_of_document ON answer (document_sha256);
CREATE INDEX answer_of_snapshot ON answer (snapshot);
CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'a ledger row is never deleted'); END;
CREATE TRIGGER dataset_stays BEFORE DELETE ON dataset BEGIN SELECT RAISE(ABORT, 'a dataset row is never deleted'); END;
CREATE TRIGGER account_stays BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'a account row is never deleted'); END;
CREATE TRIGGER charge_stays BEFORE DELETE ON charge BEGIN SELECT RAISE(ABORT, 'a charge row is never deleted'); END;
CREATE TRIGGER charge_line_stays BEFORE DELETE ON charge_line BEGIN SELECT RAISE(ABORT, 'a charge_line row is never deleted'); END;
CREATE TRIGGER decision_stays BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'a decision row is never deleted'); END;
CREATE TRIGGER unbounded_stays BEFORE DELETE ON unbounded BEGIN SELECT RAISE(ABORT, 'a unbounded row is never deleted'); END;
CREATE TRIGGER anchoring_stays BEFORE DELETE ON anchoring BEGIN SELECT RAISE(ABORT, 'a anchoring row is never deleted'); END;
CREATE TRIGGER ceiling_stays BEFORE DELETE ON ceiling BEGIN SELECT RAISE(ABORT, 'a ceiling row is never deleted'); END;
CREATE TRIGGER allowance_stays BEFORE DELETE ON allowance BEGIN SELECT RAISE(ABORT, 'a allowance row is never deleted'); END;
CREATE TRIGGER budget_raise_stays BEFORE DELETE ON budget_raise BEGIN SELECT RAISE(ABORT, 'a budget_raise row is never deleted'); END;
CREATE TRIGGER resume_stays BEFORE DELETE ON resume BEGIN SELECT RAISE(ABORT, 'a resume row is never deleted'); END;
CREATE TRIGGER resume_line_stays BEFORE DELETE ON resume_line BEGIN SELECT RAISE(ABORT, 'a resume_line row is never deleted'); END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'a entry row is never deleted'); END;
CREATE TRIGGER answer_stays BEFORE DELETE ON answer BEGIN SELECT RAISE(ABORT, 'a answer row is never deleted'); END;
CREATE TRIGGER odometer_cap_stays BEFORE DELETE ON odometer_cap BEGIN SELECT RAISE(ABORT, 'a odometer_cap row is never deleted'); END;
CREATE TRIGGER ledger_fixed BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'a ledger row never changes'); END;
CREATE TRIGGER dataset_fixed BEFORE UPDATE ON dataset BEGIN SELECT RAISE(ABORT, 'a dataset row never changes'); END;
CREATE TRIGGER charge_line_fixed BEFORE UPDATE ON charge_line BEGIN SELECT RAISE(ABORT, 'a charge_line row never changes'); END;
CREATE TRIGGER decision_fixed BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'a decision row never changes'); END;
CREATE TRIGGER unbounded_fixed BEFORE UPDATE ON unbounded BEGIN SELECT RAISE(ABORT, 'a unbounded row never changes'); END;
CREATE TRIGGER budget_raise_fixed BEFORE UPDATE ON budget_raise BEGIN SELECT RAISE(ABORT, 'a budget_raise row never changes'); END;
CREATE TRIGGER resume_fixed BEFORE UPDATE ON resume BEGIN SELECT RAISE(ABORT, 'a resume row never changes'); END;
CREATE TRIGGER resume_line_fixed BEFORE UPDATE ON resume_line BEGIN SELECT RAISE(ABORT, 'a resume_line row never changes'); END;
CREATE TRIGGER entry_fixed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'a entry row never changes'); END;
CREATE TRIGGER answer_fixed BEFORE UPDATE ON answer BEGIN SELECT RAISE(ABORT, 'a answer row never changes'); END;
CREATE TRIGGER odometer_cap_fixed BEFORE UPDATE ON odometer_cap BEGIN SELECT RAISE(ABORT, 'a odometer_cap row never changes'); END;
CREATE TRIGGER account_never_falls BEFORE UPDATE ON account WHEN NEW.spent_nano_rho < OLD.spent_nano_rho OR NEW.spent_delta_units < OLD.spent_delta_units OR NEW.cap_nano_rho < OLD.cap_nano_rho OR (NEW.cap_nano_rho > OLD.cap_nano_rho AND NOT EXISTS (SELECT 1 FROM budget_raise WHERE dataset_id = NEW.dataset_id AND cap_nano_rho = NEW.cap_nano_rho)) OR NEW.account_id IS NOT OLD.account_id OR NEW.dataset_id IS NOT OLD.dataset_id OR NEW.block IS NOT OLD.block OR NEW.cap_delta_units IS NOT OLD.cap_delta_units BEGIN SELECT RAISE(ABORT, 'a balance never falls and a cap changes by a raise only'); END;
CREATE TRIGGER account_below_ceiling BEFORE UPDATE ON account WHEN (NEW.spent_nano_rho > OLD.spent_nano_rho AND NEW.spent_nano_rho > COALESCE((SELECT nano_rho FROM ceiling WHERE account_id = NEW.account_id), 0)) OR (NEW.spent_delta_units > OLD.spent_delta_units AND NEW.spent_delta_units > COALESCE((SELECT delta_units FROM ceiling WHERE account_id = NEW.account_id), 0)) BEGIN SELECT RAISE(ABORT, 'a balance never passes its anchored ceiling'); END;
CREATE TRIGGER ceiling_only_rises BEFORE UPDATE ON ceiling WHEN NEW.nano_rho < OLD.nano_rho OR NEW.delta_units < OLD.delta_units OR NEW.account_id IS NOT OLD.account_id BEGIN SELECT RAISE(ABORT, 'a ceiling never falls'); END;
CREATE TRIGGER allowance_spending_stays BEFORE UPDATE ON allowance WHEN NEW.spent_nano_rho < OLD.spent_nano_rho OR NEW.allowance_id IS NOT OLD.allowance_id OR NEW.analyst IS NOT OLD.analyst OR NEW.dataset_id IS NOT OLD.dataset_id BEGIN SELECT RAISE(ABORT, 'what an analyst spent never falls'); END;
CREATE TRIGGER charge_only_advances BEFORE UPDATE ON charge WHEN NEW.draws < OLD.draws OR NEW.draws > OLD.draws + 1 OR NEW.shown < OLD.shown OR (OLD.result_sha256 IS NOT NULL AND NEW.draws <> OLD.draws) OR (OLD.result_sha256 IS NOT NULL AND NEW.result_sha256 IS NOT OLD.result_sha256 AND (OLD.shown = 1 OR NEW.result_sha256 IS NOT NULL)) OR NEW.charge_id IS NOT OLD.charge_id OR NEW.idempotency_key IS NOT OLD.idempotency_key OR NEW.request_sha256 IS NOT OLD.request_sha256 OR NEW.nano_rho IS NOT OLD.nano_rho OR NEW.delta_units IS NOT OLD.delta_units OR NEW.purpose IS NOT OLD.purpose OR NEW.charged_at IS NOT OLD.charged_at OR NEW.analyst IS NOT OLD.analyst BEGIN SELECT RAISE(ABORT, 'a charge only advances'); END;
COMMIT;
PRAGMA application_id = 1128811569;
PRAGMA user_version = 3;
