-- What an administrator runs once in the database that proficio publishes to, so that proficio itself needs no right to make roles.
-- PostgreSQL 14 or newer. Then: create role proficio login password '…' in role proficio_writer;

create role proficio_reader nologin;       -- reads every row of the published marts
create role proficio_team_reader nologin;  -- reads the people of the teams that proficio_access.teams gives to the user
create role proficio_writer nologin;       -- what proficio connects as is one of these

do $$
begin
    execute format('grant create, connect on database %I to proficio_writer', current_database());
end
$$;

create schema proficio_access authorization proficio_writer;
create table proficio_access.teams (role_name name, team text, primary key (role_name, team));
alter table proficio_access.teams owner to proficio_writer;
grant usage on schema proficio_access to proficio_team_reader;
grant select on proficio_access.teams to proficio_team_reader;
