-- Several brokers on this database serve one market. Nothing here is of the market itself: it says which brokers run now, who holds which
-- link, what the others are to be told, and who does what only one may do. A backup leaves all of it out.

-- One row for each process. beat_at: the database's time in ms at which it last said that it runs. read: it has read all notes before this.
create table broker (id text primary key, address text, beat_at bigint not null, read xid8 not null);
-- Which broker holds a server's link; link: which of its links in turn.
create table route (server text primary key, broker text not null references broker (id) on delete cascade, link bigint not null);
create index route_broker on route (broker);
-- What the others are to do after a commit, one row for each. Written in that same commit; its events are those of the same xid.
create table note (
  xid xid8 not null default pg_current_xact_id(),
  seq bigserial,
  id text not null,
  broker text not null,
  notes jsonb not null,
  primary key (xid, seq)
);
-- Whose turn it is to run a timer, and until when in broker time.
create table turn (kind text not null, id text not null, broker text not null, until bigint not null, primary key (kind, id));
-- What one broker does for all. term: grows with each that takes it over; until: in the database's time.
create table duty (name text primary key, broker text not null, term bigint not null, until bigint not null);
-- Challenges for session tokens that were answered.
create table used_challenge (challenge text primary key, until bigint not null);
create index used_challenge_until on used_challenge (until);
