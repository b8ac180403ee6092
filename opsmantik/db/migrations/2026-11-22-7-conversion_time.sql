-- Which moment a conversion is reported with, where nobody gave the date of the sale.
SET LOCAL lock_timeout = '1200ms';

ALTER TABLE sites ADD COLUMN conversion_time text NOT NULL DEFAULT 'intent'
    CHECK (conversion_time IN ('intent', 'decision'));
COMMENT ON COLUMN sites.conversion_time IS 'The moment that a conversion without a sale date is reported with: the tap, or the decision about it.';
