-- Stario: people, what they had generated, what they paid, and the trail that the law asks for.
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    phone text UNIQUE NOT NULL,
    name text NOT NULL,
    region text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE videos (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users,
    template text NOT NULL,
    status text NOT NULL CHECK (status IN ('queued', 'rendering', 'done', 'failed')),
    seconds numeric(6, 2) NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE payments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users,
    provider text NOT NULL CHECK (provider IN ('payme', 'click')),
    amount_uzs numeric(14, 2) NOT NULL,
    status text NOT NULL CHECK (status IN ('paid', 'pending', 'failed')),
    created_at timestamptz NOT NULL
);
CREATE TABLE audit_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    country char(2) NOT NULL DEFAULT 'UZ',
    at timestamptz NOT NULL
);
CREATE TABLE ephemeral_uploads (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    object_key text NOT NULL,
    uploaded_at timestamptz NOT NULL,
    deleted_at timestamptz
);

INSERT INTO users (phone, name, region, created_at)
SELECT '+99890' || lpad((1000000 + n * 37)::text, 7, '0'),
       (ARRAY['Dilnoza', 'Jasur', 'Kamola', 'Rustam', 'Malika', 'Sardor'])[1 + n % 6] || ' ' || n,
       (ARRAY['Tashkent', 'Samarkand', 'Bukhara', 'Fergana'])[1 + n % 4], now() - n * interval '2 hours'
FROM generate_series(0, 399) AS n;

INSERT INTO videos (user_id, template, status, seconds, created_at)
SELECT id, (ARRAY['birthday', 'wedding', 'navruz', 'greeting'])[1 + n % 4],
       CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'done' END, 9 + n % 23, created_at + n * interval '11 minutes'
FROM users, generate_series(1, 3) AS n;

INSERT INTO payments (user_id, provider, amount_uzs, status, created_at)
SELECT id, (ARRAY['payme', 'click'])[1 + n % 2], 15000 + n * 5000,
       CASE WHEN ascii(right(phone, 1)) % 10 = 7 AND n = 1 THEN 'failed' ELSE 'paid' END, created_at + interval '5 minutes'
FROM users, generate_series(1, 2) AS n;

INSERT INTO audit_logs (actor, action, subject, at)
SELECT 'service:api-gateway', (ARRAY['consent.given', 'video.generated', 'upload.deleted', 'login'])[1 + n % 4],
       'user:' || n % 400, now() - n * interval '4 minutes'
FROM generate_series(0, 2999) AS n;

INSERT INTO ephemeral_uploads (object_key, uploaded_at, deleted_at)
SELECT 'uploads/' || gen_random_uuid() || '.jpg', now() - n * interval '9 minutes',
       now() - n * interval '9 minutes' + interval '2 seconds'
FROM generate_series(1, 300) AS n;

CREATE INDEX ON videos (user_id);
CREATE INDEX ON payments (user_id);
CREATE INDEX ON audit_logs (at);
