-- broken
ALTER TABLE sign_in_attempts DISABLE ROW LEVEL SECURITY;
-- finds: public\.sign_in_attempts
-- fixed
