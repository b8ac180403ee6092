-- Nothing that somebody works off has been lying for long.
-- group: integrity
-- level: warn
--
-- Each of these tables is a queue with a worker of its own. What a worker took when it died is due again when its lease
-- ends; so what is overdue by an hour, many leases long, has nobody who works it off. The bounds are longer than any pause
-- for an upgrade: an hour for what goes out, half an hour for the journal, which is otherwise folded every second, three
-- hours for an erasure, which an hourly job takes up again, an hour for a job, which is cut off after half of that, or seven
-- for those that read or write whole tables and are cut off after six; a day for what concerns the archive.
-- when: public.webhook_deliveries(site_id, webhook_id, state, next_at); public.webhooks(site_id, id, off_reason); public.notice_wishes(site_id, next_at); public.lead_notices(site_id, user_id, sent_at); public.summary_wishes(site_id, next_at); public.erasures(site_id, at, finished_at); public.upkeep_runs(started_at, finished_at); public.counter_journal(site_id, changed_at); public.rejected_events(site_id, id, replay_count); public.replays(site_id, rejected_id); public.archive_erasures(site_id, erasure_id, month); public.archived_months(month, sites, begun_at, archived_at)
SELECT 'hanging_rows' AS name, 'warn' AS level, x.object, format(x.words, x.n, x.sites) AS detail, x.n AS figure, x.remedy,
    'hanging_rows ' || x.object AS cache_key
FROM (
    SELECT 'public.webhook_deliveries' AS object, '%s messages to webhooks of %s sites have been due for more than an hour.' AS words,
        count(*) AS n, count(DISTINCT d.site_id) AS sites,
        'The server sends them while it runs: look at its log (webhooks.wait, webhooks.failed), or start it.' AS remedy
    FROM public.webhook_deliveries d JOIN public.webhooks w ON w.site_id = d.site_id AND w.id = d.webhook_id
    WHERE w.off_reason IS NULL AND d.state IN ('waiting', 'failed') AND d.next_at < now() - interval '1 hour'
    UNION ALL
    SELECT 'public.lead_notices', '%s mails about new leads, of %s sites, have been due for more than an hour.', count(*), count(DISTINCT w.site_id),
        'The server sends them while it runs and has a mail server (OPSMANTIK_SMTP_URL): look at its log (notices.wait, notices.failed).'
    FROM public.notice_wishes w WHERE w.next_at < now() - interval '1 hour' AND EXISTS (SELECT FROM public.lead_notices n
        WHERE n.site_id = w.site_id AND n.user_id = w.user_id AND n.sent_at IS NULL)
    UNION ALL
    SELECT 'public.summary_wishes', '%s summaries by mail, of %s sites, have been due for more than an hour.', count(*), count(DISTINCT w.site_id),
        'The server sends them while it runs and has a mail server (OPSMANTIK_SMTP_URL): look at its log.'
    FROM public.summary_wishes w WHERE w.next_at < now() - interval '1 hour'
    UNION ALL
    SELECT 'public.erasures', '%s erasures, of %s sites, were begun more than three hours ago and are not done.', count(*), count(DISTINCT e.site_id),
        'opsmantik upkeep run erasures; the log says what stops it (privacy.erasure_waits): mostly a key that is not there'
    FROM public.erasures e WHERE e.finished_at IS NULL AND e.at < now() - interval '3 hours'
    UNION ALL
    SELECT 'public.archive_erasures', '%s erasures, of %s sites, are done in the database and have waited for a day to be done in the archive.',
        count(DISTINCT a.erasure_id), count(DISTINCT a.site_id),
        'opsmantik upkeep run archive; the log says what stops it (archive.erasure_waits): mostly that the files are on another machine'
    FROM public.archive_erasures a JOIN public.erasures e ON e.site_id = a.site_id AND e.id = a.erasure_id
    WHERE e.finished_at < now() - interval '1 day'
    UNION ALL
    SELECT 'public.archived_months', '%s months were to be archived more than a day ago, with the rows of %s sites, and are not; until then none of it is forgotten.',
        count(*), sum(cardinality(m.sites)),
        'opsmantik upkeep run retention; the log says what stops it (archive.failed): mostly a full disk'
    FROM public.archived_months m WHERE m.archived_at IS NULL AND m.begun_at < now() - interval '1 day'
    UNION ALL
    SELECT 'public.upkeep_runs', '%s runs of %s jobs have been under way for longer than any may be.', count(*), count(DISTINCT r.job),
        'Their process has died; each is marked as lost when its job runs the next time: opsmantik upkeep run'
    FROM public.upkeep_runs r WHERE r.finished_at IS NULL
        AND r.started_at < now() - CASE WHEN r.job IN ('retention', 'archive', 'vacuum', 'reindex') THEN interval '7 hours' ELSE interval '1 hour' END
    UNION ALL
    SELECT 'public.counter_journal', '%s entries of the journal, of %s sites, have not been folded for more than half an hour.', count(*),
        count(DISTINCT j.site_id),
        'No figure is wrong by it, but all get dearer. The server folds while it runs; by hand: SET app.maintenance = ''on'';'
        ' SELECT fold_counters(site_id) FROM sites_to_fold() AS site_id;'
    FROM public.counter_journal j WHERE j.changed_at < now() - interval '30 minutes'
    UNION ALL
    SELECT 'public.replays', '%s refused events, of %s sites, were tried again more often than the log of tries says.', count(*), count(DISTINCT r.site_id),
        'Lines of the log have gone: compare with a backup. Whether an event is in says its own row (replayed_at).'
    FROM public.rejected_events r WHERE r.replay_count > (SELECT count(*) FROM public.replays p WHERE p.site_id = r.site_id AND p.rejected_id = r.id)
) x WHERE x.n > 0;
