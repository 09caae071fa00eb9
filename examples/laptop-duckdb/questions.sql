-- What each customer has ordered, as of the last run.
SELECT customer.name, count(orders.order_id) AS orders, sum(orders.amount) AS amount
FROM dbo_customer_current AS customer
LEFT JOIN dbo_orders_current AS orders ON orders.customer = customer.name
GROUP BY customer.name
ORDER BY customer.name;

-- Which windows have changed an order, and how.
SELECT tidemark_window, amount FROM dbo_orders WHERE order_id = 1 ORDER BY row_version;
