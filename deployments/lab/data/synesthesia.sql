-- Synesthesia AI: story packs of aligned text, picture and sound.
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text UNIQUE NOT NULL,
    plan text NOT NULL CHECK (plan IN ('free', 'studio', 'team')),
    created_at timestamptz NOT NULL
);
CREATE TABLE story_packs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users,
    title text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    generation_seconds numeric(6, 2),
    created_at timestamptz NOT NULL
);
CREATE TABLE assets (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    story_pack_id uuid NOT NULL REFERENCES story_packs ON DELETE CASCADE,
    modality text NOT NULL CHECK (modality IN ('text', 'image', 'audio')),
    object_key text NOT NULL,
    bytes bigint NOT NULL
);

INSERT INTO users (email, plan, created_at)
SELECT 'reader' || n || '@example.com', (ARRAY['free', 'free', 'studio', 'team'])[1 + n % 4], now() - n * interval '5 hours' - interval '80 minutes'
FROM generate_series(0, 249) AS n;

INSERT INTO story_packs (user_id, title, status, generation_seconds, created_at)
SELECT id, (ARRAY['The lighthouse', 'Blue in winter', 'A city hums', 'Salt and smoke'])[1 + n % 4] || ' ' || n,
       CASE WHEN n = 4 AND plan = 'team' THEN 'pending' ELSE 'completed' END, 14 + n * 3, created_at + n * interval '20 minutes'
FROM users, generate_series(1, 4) AS n;

INSERT INTO assets (story_pack_id, modality, object_key, bytes)
SELECT id, modality, 'packs/' || lpad(number::text, 4, '0') || '/' || modality, 4000
FROM (SELECT id, row_number() OVER (ORDER BY created_at DESC, id) - 1 AS number FROM story_packs) AS packs,
     unnest(ARRAY['text', 'image', 'audio']) AS modality
WHERE number < 20;

CREATE INDEX idx_story_packs_created_at ON story_packs (created_at DESC);
CREATE INDEX idx_story_packs_status ON story_packs (status) WHERE status IN ('pending', 'processing');
