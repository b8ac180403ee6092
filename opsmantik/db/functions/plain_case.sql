-- A text as people search for it: without case, and with one i. Turkish has two of them, with and without a dot, in
-- both cases, and keyboards and machines mix them up: KIRALIK, kiralık and kiralik are one word.
CREATE OR REPLACE FUNCTION plain_case(p_text text) RETURNS text LANGUAGE sql IMMUTABLE
AS $$ SELECT lower(translate(p_text, 'Iİı', 'iii')) $$;
GRANT EXECUTE ON FUNCTION plain_case TO opsmantik_app;
