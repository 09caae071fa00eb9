-- The two tables of this example, for a database for tests. Replace tidemark by the name of your database in the first statement.
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
GO
CREATE TABLE dbo.orders (
    order_id int IDENTITY PRIMARY KEY,
    customer varchar(40) NOT NULL,
    amount decimal(9,2) NOT NULL,
    row_version rowversion NOT NULL
);
CREATE INDEX IX_orders_row_version ON dbo.orders (row_version);
CREATE TABLE dbo.customer (customer_id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL);
ALTER TABLE dbo.customer ENABLE CHANGE_TRACKING;
GO
INSERT INTO dbo.orders (customer, amount) VALUES ('Ada', 12.50), ('Ada', 5.00);
INSERT INTO dbo.customer (customer_id, name) VALUES (1, 'Ada'), (2, 'Grace');
