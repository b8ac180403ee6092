-- broken: a month ahead of the others
SET ROLE opsmantik_owner;
SELECT make_month((now() AT TIME ZONE 'UTC' + interval '5 months')::date);
-- finds: parts\.(sessions|events)_\d{4}_\d\d
-- fixed
SELECT make_month((now() AT TIME ZONE 'UTC' + interval '4 months')::date);
