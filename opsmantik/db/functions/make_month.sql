-- The partitions of one month, for sessions and events, with what a partition must carry: its own month check
-- as a range of created_at (the planner prunes by it), row security, no grant. Safe to call twice, and on two
-- nodes at once. Rows of the month that wait in the default partitions come along (attach_month).
CREATE OR REPLACE FUNCTION dress_partition(p_partition text, p_column text, p_month date, p_upper boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_from text := to_char(p_month, 'YYYY-MM-DD') || ' 00:00:00+00';
    v_to text := to_char(p_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
BEGIN
    EXECUTE format('ALTER TABLE parts.%I ADD CONSTRAINT %I CHECK (%I = %L AND created_at >= %L%s)',
        p_partition, p_partition || '_month', p_column, p_month, v_from,
        CASE WHEN p_upper THEN format(' AND created_at < %L', v_to) ELSE '' END);
    EXECUTE format('ALTER TABLE parts.%I ENABLE ROW LEVEL SECURITY', p_partition);
    EXECUTE format('ALTER TABLE parts.%I FORCE ROW LEVEL SECURITY', p_partition);
    EXECUTE format('CREATE POLICY by_owner_function ON parts.%I TO CURRENT_USER '
        'USING (current_setting(''app.maintenance'', true) = ''on'') '
        'WITH CHECK (current_setting(''app.maintenance'', true) = ''on'')', p_partition);
END
$$;

-- Returns the names of the partitions that were missing; with none missing it takes no lock on any table.
CREATE OR REPLACE FUNCTION make_month(p_month date) RETURNS text[]
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp
AS $$ SELECT made FROM attach_month(p_month) $$;
REVOKE EXECUTE ON FUNCTION dress_partition, make_month FROM PUBLIC;
