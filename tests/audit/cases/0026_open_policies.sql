-- broken
CREATE POLICY everybody ON site_members FOR UPDATE USING (true);
CREATE POLICY open_to_all ON calls FOR SELECT USING (true);
-- finds: public\.site_members\.everybody
-- finds: public\.calls\.open_to_all
-- also: 0027_several_policies
-- also: 0040_leaks
-- fixed
