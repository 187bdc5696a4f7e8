-- How far a linked server's clock is ahead of the market's, as whoever holds its link measured it at its login: {offsetMs, errorMs}.
alter table route add column clock jsonb;
