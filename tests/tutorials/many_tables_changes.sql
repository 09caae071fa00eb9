UPDATE customer_table
SET [LastModifytime] = '2017-09-08T00:00:00Z', [name]='NewName' where [PersonID] = 3

INSERT INTO project_table (Project, Creationtime) VALUES ('NewProject','10/1/2017 0:00:00 AM');
GO
