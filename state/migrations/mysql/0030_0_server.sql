-- What the database must be. MySQL 8.0.19 or newer, or MariaDB 10.6 or newer.
--
-- The files of this number are one migration. Each is sent as it is: the server tells statements apart itself.
--
-- The server commits each statement that creates something by itself.

-- Texts sort by their bytes, and spaces at their end count: the same text is the same everywhere.
ALTER DATABASE CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
