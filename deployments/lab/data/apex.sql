-- SIGN X Studio: projects and what was calculated for them.
CREATE TABLE projects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    customer text NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'estimating', 'submitted', 'accepted')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE project_payloads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    module text NOT NULL,
    config jsonb NOT NULL,
    sha256 text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE project_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    event_type text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL
);
CREATE TABLE uploads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    object_key text UNIQUE NOT NULL,
    uploaded_at timestamptz NOT NULL
);

INSERT INTO projects (name, customer, status, created_at, updated_at)
SELECT (ARRAY['Pylon sign', 'Monument', 'Channel letters', 'Blade sign', 'Billboard'])[1 + n % 5] || ' ' || n,
       (ARRAY['Acme Foods', 'Harbor Bank', 'Northside Clinic', 'Vela Motors', 'Lumen Hotels', 'Oak & Iron'])[1 + n % 6],
       (ARRAY['draft', 'estimating', 'submitted', 'accepted'])[1 + n % 4],
       now() - n * interval '3 hours' - interval '9 days',
       now() - n * interval '7 minutes'
FROM generate_series(0, 599) AS n;

INSERT INTO project_payloads (project_id, module, config, sha256, created_at)
SELECT id, 'signage.' || kind,
       jsonb_build_object('overall_height_ft', 12 + length(name), 'cabinets', jsonb_build_array(
           jsonb_build_object('width_ft', 8, 'height_ft', 4, 'depth_in', 12)), 'wind_speed_mph', 115),
       encode(sha256((id::text || kind)::bytea), 'hex'), updated_at
FROM projects, unnest(ARRAY['pole', 'cabinets', 'baseplate']) AS kind;

INSERT INTO project_events (project_id, event_type, actor, at)
SELECT id, kind, 'user' || (ascii(right(name, 1)) % 9) || '@example.com', updated_at
FROM projects, unnest(ARRAY['project.created', 'project.updated']) AS kind;

INSERT INTO uploads (project_id, object_key, uploaded_at)
SELECT id, 'uploads/' || lpad((row_number() OVER (ORDER BY created_at) - 1)::text, 4, '0') || '.pdf', updated_at
FROM projects ORDER BY created_at LIMIT 20;

CREATE INDEX ON projects (status);
CREATE INDEX ON project_payloads (project_id);
CREATE INDEX ON project_events (project_id);
