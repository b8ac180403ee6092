-- People and what they may enter. The app role may read these rows only through the policies below;
-- what must be known before anyone is signed in goes through functions (db/functions/).
SET LOCAL lock_timeout = '1200ms';

CREATE SCHEMA parts;
COMMENT ON SCHEMA parts IS 'Monthly partitions. Nothing in here is granted to anybody: rows are reached through their parents.';

CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254 AND email = lower(email)),
    name text NOT NULL DEFAULT '',
    password_hash text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    CONSTRAINT users_email_key UNIQUE (email)
);

CREATE TABLE profiles (
    id uuid PRIMARY KEY,
    role text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    language text CHECK (language IN ('en', 'tr')),
    theme text CHECK (theme IN ('light', 'dark')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE profiles ADD CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES users (id) ON DELETE CASCADE;

CREATE TABLE user_credentials (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    access_token bytea,
    refresh_token bytea,
    key_id text,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_credentials_user_id_provider_key UNIQUE (user_id, provider)
);
ALTER TABLE user_credentials ADD CONSTRAINT user_credentials_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
COMMENT ON COLUMN user_credentials.refresh_token IS 'Encrypted by the application; key_id names the key.';

-- Signed-in browsers. Only a hash of the cookie is kept, so a copy of the table opens no door.
CREATE TABLE sign_ins (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    user_agent text
);
ALTER TABLE sign_ins ADD CONSTRAINT sign_ins_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX sign_ins_user_id_idx ON sign_ins (user_id);

-- One-time links: the first administrator today, invitations and password resets on the same frame.
CREATE TABLE one_time_links (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    purpose text NOT NULL CHECK (purpose IN ('first_admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE TABLE sites (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    public_id text NOT NULL CHECK (public_id ~ '^[0-9a-f]{32}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    domain text NOT NULL CHECK (length(domain) BETWEEN 1 AND 253),
    time_zone text NOT NULL DEFAULT 'Europe/Istanbul',
    region text NOT NULL DEFAULT 'TR' CHECK (region ~ '^[A-Z]{2}$'),
    currency text NOT NULL DEFAULT 'TRY' CHECK (currency ~ '^[A-Z]{3}$'),
    assumed_cpc numeric NOT NULL DEFAULT 0 CHECK (assumed_cpc >= 0),
    consent_mode text NOT NULL DEFAULT 'implied' CHECK (consent_mode IN ('required', 'implied', 'legacy')),
    attribution_window_days integer NOT NULL DEFAULT 90 CHECK (attribution_window_days BETWEEN 1 AND 184),
    config jsonb NOT NULL DEFAULT '{}',
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sites_public_id_key UNIQUE (public_id)
);
-- Not CASCADE as in the first generation: removing a person must never remove a client's history.
ALTER TABLE sites ADD CONSTRAINT sites_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT;
CREATE INDEX sites_user_id_idx ON sites (user_id);
COMMENT ON COLUMN sites.public_id IS 'The id in the snippet, 32 hex digits; the UUID spelling with hyphens means the same site.';
COMMENT ON COLUMN sites.region IS 'ISO 3166 region in which a number without a country code is read.';

CREATE TABLE site_members (
    site_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL DEFAULT 'analyst' CHECK (role IN ('owner', 'admin', 'operator', 'analyst')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, user_id)
);
ALTER TABLE site_members ADD CONSTRAINT site_members_site_id_fkey
    FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
ALTER TABLE site_members ADD CONSTRAINT site_members_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
CREATE INDEX site_members_user_id_idx ON site_members (user_id);

-- Who may post for a site from a browser: exact scheme, host and port, as browsers write it in Origin.
CREATE TABLE site_origins (
    site_id uuid NOT NULL,
    origin text NOT NULL CHECK (origin = 'null' OR origin ~ '^https?://[^/ ]+$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, origin)
);
ALTER TABLE site_origins ADD CONSTRAINT site_origins_site_id_fkey
    FOREIGN KEY (site_id) REFERENCES sites (id) ON DELETE CASCADE;
